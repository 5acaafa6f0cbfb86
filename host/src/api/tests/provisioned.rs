//! Provisioned concurrency: what is refused, and what is told.

use super::resources::{ALIASES, with_two_versions};
use super::*;

const PATH: &str = "/2019-09-30/functions/f/provisioned-concurrency";
const RESERVED: &str = "/2017-10-31/functions/f/concurrency";

/// A world with two versions and an alias of the first one.
async fn with_an_alias() -> World {
    let world = with_two_versions().await;
    world.post(ALIASES, json!({"Name": "live", "FunctionVersion": "1"})).await;
    world
}

impl World {
    async fn provision(&self, qualifier: &str, count: i64) -> Answer {
        let path = format!("{PATH}?Qualifier={qualifier}");
        self.put(&path, json!({"ProvisionedConcurrentExecutions": count})).await
    }

    async fn reserve(&self, count: i64) -> Answer {
        self.put(RESERVED, json!({"ReservedConcurrentExecutions": count})).await
    }
}

#[tokio::test]
async fn what_cannot_be_provisioned_is_refused_in_awss_order_and_words() {
    let world = with_an_alias().await;
    world.reserve(5).await;
    for (qualifier, count, refusal) in [
        (
            "$LATEST",
            0,
            r#"400 ValidationException {"message":"1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must have value greater than or equal to 1"}"#,
        ),
        (
            "$LATEST",
            1,
            r#"400 InvalidParameterValueException {"Type":"User","message":"Provisioned Concurrency Configs cannot be applied to unpublished function versions."}"#,
        ),
        (
            "7",
            9,
            r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:7","Type":"User"}"#,
        ),
        (
            "none",
            9,
            r#"404 ResourceNotFoundException {"Message":"Cannot find alias arn: arn:aws:lambda:us-east-1:000000000000:function:f:none","Type":"User"}"#,
        ),
        (
            "1",
            6,
            r#"400 InvalidParameterValueException {"Type":"User","message":"Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"}"#,
        ),
    ] {
        assert_eq!(world.provision(qualifier, count).await.told(), refusal);
    }
    assert_eq!(world.provision("live", 2).await.status, 202);
    assert_eq!(
        world.provision("1", 1).await.told(),
        r#"409 ResourceConflictException {"Type":"User","message":"Version is pointed by a Provisioned Concurrency alias"}"#
    );
    assert_eq!(
        world.reserve(1).await.told(),
        r#"400 InvalidParameterValueException {"message":" ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2]."}"#
    );
}

#[tokio::test]
async fn what_is_provisioned_is_taken_from_the_account_and_listed() {
    let world = with_an_alias().await;
    assert_eq!(world.provision("live", 2).await.status, 202);
    let account = world.get("/2016-08-19/account-settings").await.json();
    assert_eq!(account["AccountLimit"]["UnreservedConcurrentExecutions"], 998);
    for (count, refusal) in [
        (
            1001,
            r#"400 InvalidParameterValueException {"message":"Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000]."}"#,
        ),
        (
            901,
            r#"400 InvalidParameterValueException {"message":"Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."}"#,
        ),
    ] {
        assert_eq!(world.provision("live", count).await.told(), refusal);
    }
    let missing = world.get(&format!("{PATH}?Qualifier=1")).await.told();
    assert_eq!(
        missing,
        r#"404 ProvisionedConcurrencyConfigNotFoundException {"Type":"User","message":"No Provisioned Concurrency Config found for this function"}"#
    );
    assert_eq!(
        world.delete(&format!("{PATH}?Qualifier=$LATEST")).await.told(),
        r#"400 InvalidParameterValueException {"Type":"User","message":"The function resource provided must be an alias or a published version."}"#
    );
    let listed = world.get(&format!("{PATH}?List=ALL")).await.json();
    let listed = &listed["ProvisionedConcurrencyConfigs"][0];
    assert_eq!(listed["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f:live");
    assert_eq!(world.delete(&format!("{PATH}?Qualifier=live")).await.told(), "204 ");
    assert_eq!(world.provision("1", 1).await.status, 202);
    assert_eq!(
        world.provision("live", 1).await.told(),
        r#"409 ResourceConflictException {"Type":"User","message":"Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"}"#
    );
}
