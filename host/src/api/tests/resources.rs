//! What belongs to functions: versions, aliases, layers, concurrency, tags.

use super::*;

pub(super) const ALIASES: &str = "/2015-03-31/functions/f/aliases";
const VERSIONS: &str = "/2015-03-31/functions/f/versions";

/// A world with a function and two versions of it.
pub(super) async fn with_two_versions() -> World {
    let world = World::new().await;
    world.create("f").await;
    world.post(VERSIONS, json!({"Description": "one"})).await;
    world.put(&format!("{FUNCTIONS}/f/configuration"), json!({"Description": "two"})).await;
    world.settled("f").await;
    world.post(VERSIONS, json!({})).await;
    world
}

#[tokio::test]
async fn what_is_published_is_active_at_once_and_published_once() {
    let world = World::new().await;
    world.create("f").await;
    let published = world.post(VERSIONS, json!({"Description": "one"})).await.json();
    assert_eq!((&published["Version"], &published["State"]), (&json!("1"), &json!("Active")));
    assert_eq!(published["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f:1");
    assert_eq!(world.post(VERSIONS, json!({})).await.json()["RevisionId"], published["RevisionId"]);
    let other = world.post(VERSIONS, json!({"CodeSha256": "other"})).await.told();
    let sha = published["CodeSha256"].as_str().unwrap();
    assert_eq!(
        other,
        format!(
            r#"400 InvalidParameterValueException {{"Type":"User","message":"CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({sha}). Please try again with the CodeSHA256 in $LATEST."}}"#
        )
    );
    assert_eq!(world.get(VERSIONS).await.json()["Versions"].as_array().unwrap().len(), 2);
    assert_eq!(world.delete(&format!("{FUNCTIONS}/f?Qualifier=1")).await.told(), "204 ");
    assert_eq!(world.get(VERSIONS).await.json()["Versions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_alias_leads_to_its_version_until_it_is_moved() {
    let world = with_two_versions().await;
    world.post(ALIASES, json!({"Name": "live", "FunctionVersion": "1"})).await.check(expect![[r#"
        201
        {
          "AliasArn": "arn:aws:lambda:us-east-1:000000000000:function:f:live",
          "Description": "",
          "FunctionVersion": "1",
          "Name": "live",
          "RevisionId": "<revision>"
        }
    "#]]);
    let answer = world.invoke("f:live", "{}").await;
    assert_eq!(answer.header("x-amz-executed-version"), Some("1"));
    assert_eq!(answer.json()["arn"], "arn:aws:lambda:us-east-1:000000000000:function:f:live");
    let through = world.get(&format!("{FUNCTIONS}/f/configuration?Qualifier=live")).await.json();
    assert_eq!((&through["Version"], &through["Description"]), (&json!("1"), &json!("one")));
    assert_eq!(world.delete(&format!("{FUNCTIONS}/f?Qualifier=1")).await.status, 409);

    let moved = json!({"FunctionVersion": "2", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.0}}});
    world.put(&format!("{ALIASES}/live"), moved).await.check(expect![[r#"
        200
        {
          "AliasArn": "arn:aws:lambda:us-east-1:000000000000:function:f:live",
          "Description": "",
          "FunctionVersion": "2",
          "Name": "live",
          "RevisionId": "<revision>",
          "RoutingConfig": {
            "AdditionalVersionWeights": {
              "1": 0.0
            }
          }
        }
    "#]]);
    assert_eq!(world.invoke("f:live", "{}").await.header("x-amz-executed-version"), Some("2"));
    let listed = world.get(&format!("{ALIASES}?FunctionVersion=2")).await.json();
    assert_eq!(listed["Aliases"][0]["Name"], "live");
    assert_eq!(world.delete(&format!("{ALIASES}/live")).await.told(), "204 ");
    assert_eq!(world.get(ALIASES).await.json()["Aliases"], json!([]));
}

#[tokio::test]
async fn a_bad_alias_is_refused_in_awss_words() {
    let world = with_two_versions().await;
    world.post(ALIASES, json!({"Name": "live", "FunctionVersion": "1"})).await;
    let weighted = |version: &str, weights: Value| json!({"Name": "a", "FunctionVersion": version, "RoutingConfig": {"AdditionalVersionWeights": weights}});
    for (request, expected) in [
        (
            json!({"Name": "live", "FunctionVersion": "1"}),
            r#"409 ResourceConflictException {"Type":"User","message":"Alias already exists: arn:aws:lambda:us-east-1:000000000000:function:f:live"}"#,
        ),
        (
            json!({"Name": "2024", "FunctionVersion": "1"}),
            r#"400 ValidationException {"message":"1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"}"#,
        ),
        (
            json!({"Name": "a", "FunctionVersion": "10"}),
            r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:10","Type":"User"}"#,
        ),
        (
            weighted("1", json!({"1": 0.5, "2": 0.5})),
            r#"400 InvalidParameterValueException {"Type":"User","message":"Number of items in AdditionalVersionWeights cannot be greater than 1"}"#,
        ),
        (
            weighted("1", json!({"2": 2.0})),
            r#"400 ValidationException {"message":"1 validation error detected: Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]"}"#,
        ),
        (
            weighted("1", json!({"1": 0.5})),
            r#"400 InvalidParameterValueException {"Type":"User","message":"Invalid function version 1. Function version 1 is already included in routing configuration."}"#,
        ),
        (
            weighted("$LATEST", json!({"1": 0.5})),
            r#"400 InvalidParameterValueException {"message":"$LATEST is not supported for an alias pointing to more than 1 version"}"#,
        ),
        (
            weighted("1", json!({"10": 0.5})),
            r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:10","Type":"User"}"#,
        ),
    ] {
        assert_eq!(world.post(ALIASES, request).await.told(), expected);
    }
    assert_eq!(
        world.put(&format!("{ALIASES}/none"), json!({})).await.told(),
        r#"404 ResourceNotFoundException {"Message":"Alias not found: arn:aws:lambda:us-east-1:000000000000:function:f:none","Type":"User"}"#
    );
    assert_eq!(
        world.get(&format!("{ALIASES}/none")).await.told(),
        r#"404 ResourceNotFoundException {"Message":"Cannot find alias arn: arn:aws:lambda:us-east-1:000000000000:function:f:none","Type":"User"}"#
    );
}

#[tokio::test]
async fn layers_are_published_used_and_refused_in_awss_words() {
    let world = World::new().await;
    let layers = "/2018-10-31/layers/l/versions";
    let layer =
        json!({"Content": {"ZipFile": zip("lib")}, "Description": "d", "CompatibleRuntimes": ["python3.12"]});
    world.post(layers, layer.clone()).await.check(expect![[r#"
        201
        {
          "CompatibleRuntimes": [
            "python3.12"
          ],
          "Content": {
            "CodeSha256": "6zRpdjSQ0lwwBuZS5IG3fiAPeSoKV/fNNDEfVA1S1ow=",
            "CodeSize": 111,
            "Location": "http://hearth.test:3001/_hearth/code/eb3469763490d25c3006e652e481b77e200f792a0a57f7cd34311f540d52d68c"
          },
          "CreatedDate": "<date>",
          "Description": "d",
          "LayerArn": "arn:aws:lambda:us-east-1:000000000000:layer:l",
          "LayerVersionArn": "arn:aws:lambda:us-east-1:000000000000:layer:l:1",
          "Version": 1
        }
    "#]]);
    world.post(layers, layer).await;
    assert_eq!(world.get(layers).await.json()["LayerVersions"][0]["Version"], 2);
    let arn = |version: u32| format!("arn:aws:lambda:us-east-1:000000000000:layer:l:{version}");
    let by_arn = world.get(&format!("/2018-10-31/layers?find=LayerVersion&Arn={}", arn(1))).await;
    assert_eq!(by_arn.json()["Version"], 1);
    assert_eq!(
        world.post(FUNCTIONS, with(creation("f"), "Layers", json!([arn(1), arn(2)]))).await.told(),
        r#"400 InvalidParameterValueException {"Type":"User","message":"Two different versions of the same layer are not allowed to be referenced in the same function. arn:aws:lambda:us-east-1:000000000000:layer:l:1 and arn:aws:lambda:us-east-1:000000000000:layer:l:2 are versions of the same layer."}"#
    );
    let six: Vec<_> =
        (1..=6).map(|number| format!("arn:aws:lambda:us-east-1:000000000000:layer:l{number}:1")).collect();
    assert_eq!(
        world.post(FUNCTIONS, with(creation("f"), "Layers", json!(six))).await.told(),
        r#"400 InvalidParameterValueException {"Type":"User","message":"Cannot reference more than 5 layers."}"#
    );
    let created = world.post(FUNCTIONS, with(creation("f"), "Layers", json!([arn(2)]))).await.json();
    assert_eq!(created["Layers"][0]["Arn"], arn(2));
    world.settled("f").await;
    world.invoke("f", "{}").await;
    assert_eq!(world.backend.launched.lock().unwrap()[0].layers.len(), 1);
    assert_eq!(world.delete(&format!("{layers}/2")).await.told(), "204 ");
    assert_eq!(
        world.get(&format!("{layers}/2")).await.told(),
        r#"404 ResourceNotFoundException {"Message":"The resource you requested does not exist.","Type":"User"}"#
    );
    let listed = world.get("/2018-10-31/layers").await.json();
    assert_eq!(listed["Layers"][0]["LatestMatchingVersion"]["Version"], 1);
}

#[tokio::test]
async fn reserved_concurrency_is_kept_and_throttles() {
    let world = World::new().await;
    world.create("f").await;
    let path = "/2017-10-31/functions/f/concurrency";
    assert_eq!(world.get("/2019-09-30/functions/f/concurrency").await.told(), "200 {}");
    assert_eq!(
        world.put(path, json!({"ReservedConcurrentExecutions": 901})).await.told(),
        r#"400 InvalidParameterValueException {"message":"Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."}"#
    );
    let put = world.put(path, json!({"ReservedConcurrentExecutions": 0})).await;
    assert_eq!(put.told(), r#"200 {"ReservedConcurrentExecutions":0}"#);
    assert_eq!(
        world.get(&format!("{FUNCTIONS}/f")).await.json()["Concurrency"]["ReservedConcurrentExecutions"],
        0
    );
    assert_eq!(
        world.invoke("f", "{}").await.told(),
        r#"429 TooManyRequestsException {"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#
    );
    let account = world.get("/2016-08-19/account-settings").await.json();
    assert_eq!(account["AccountLimit"]["UnreservedConcurrentExecutions"], 1000);
    assert_eq!(account["AccountUsage"]["FunctionCount"], 1);
    assert_eq!(world.delete(path).await.told(), "204 ");
    assert_eq!(world.invoke("f", "{}").await.status, 200);
}

#[tokio::test]
async fn tags_are_kept_and_reach_the_backend() {
    let world = World::new().await;
    world.post(FUNCTIONS, with(creation("f"), "Tags", json!({"A": "a"}))).await;
    world.settled("f").await;
    let path = "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af";
    assert_eq!(world.post(path, json!({"Tags": {"B": "b", "C": "c"}})).await.told(), "204 ");
    assert_eq!(world.delete(&format!("{path}?tagKeys=A&tagKeys=C")).await.told(), "204 ");
    assert_eq!(world.get(path).await.told(), r#"200 {"Tags":{"B":"b"}}"#);
    assert_eq!(world.get(&format!("{FUNCTIONS}/f")).await.json()["Tags"], json!({"B": "b"}));
    world.invoke("f", "{}").await;
    assert_eq!(world.backend.launched.lock().unwrap()[0].meta["tag.B"], "b");
    assert_eq!(world.get("/2017-03-31/tags/f").await.status, 400);
}

#[tokio::test]
async fn what_this_host_does_not_do_is_said_clearly() {
    let world = World::new().await;
    assert_eq!(
        world.get("/2025-11-30/capacity-providers/").await.told(),
        r#"501 NotSupportedByHostException {"Type":"User","message":"ListCapacityProviders is not supported by this host."}"#
    );
    assert_eq!(
        world.get("/2099-01-01/nothing").await.told(),
        r#"404 UnknownOperationException {"message":"GET /2099-01-01/nothing is no operation of the Lambda API that this host knows."}"#
    );
    assert_eq!(world.delete(FUNCTIONS).await.status, 404);
    assert!(world.get("/").await.told().contains("AWS_ENDPOINT_URL_LAMBDA=http://hearth.test:3001"));
}
