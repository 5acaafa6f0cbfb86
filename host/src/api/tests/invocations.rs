//! Invocations.

use super::*;
use crate::trace::lineage_name;

#[tokio::test]
async fn a_function_is_invoked_by_every_form_of_its_name() {
    let world = World::new().await;
    world.create("f").await;
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    for (name, seen) in [
        ("f", arn.to_owned()),
        ("000000000000:function:f", arn.to_owned()),
        ("arn:aws:lambda:us-east-1:000000000000:function:f", arn.to_owned()),
        ("arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af", arn.to_owned()),
        ("f:$LATEST", format!("{arn}:$LATEST")),
    ] {
        let answer = world.invoke(name, "{}").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.told());
        assert_eq!(answer.json()["arn"], seen, "{name}");
    }
    let answer = world.send("POST", &format!("{FUNCTIONS}/f/invocations?Qualifier=$LATEST"), &[], "{}").await;
    assert_eq!(answer.json()["arn"], format!("{arn}:$LATEST"));
    assert_eq!(world.backend.launched.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_invocation_carries_everything_to_the_function_and_back() {
    let world = World::new().await;
    world.create("f").await;
    let context = STANDARD.encode(r#"{"custom": {"foo": "bar"}}"#);
    let headers = [
        ("x-amz-log-type", "Tail"),
        ("x-amz-client-context", context.as_str()),
        ("x-amzn-trace-id", "Root=1-2-3"),
    ];
    let answer = world.send("POST", &format!("{FUNCTIONS}/f/invocations"), &headers, r#"{"a": 1}"#).await;
    let seen = answer.json();
    assert_eq!(seen["event"], json!({"a": 1}));
    assert_eq!(seen["request_id"], answer.header("x-amzn-requestid").unwrap());
    assert_eq!(seen["client_context"], context);
    // The function is in it now, for the first time.
    let trace =
        format!("Root=1-2-3;Lineage={}:0", lineage_name("arn:aws:lambda:us-east-1:000000000000:function:f"));
    assert_eq!((&seen["trace_id"], answer.header("x-amzn-trace-id")), (&json!(trace), Some(trace.as_str())));
    assert_eq!(answer.header("x-amz-executed-version"), Some("$LATEST"));
    assert_eq!(answer.header("x-amz-log-result"), Some("U1RBUlQKRU5ECg=="));
    assert_eq!(answer.header("x-amz-function-error"), None);
    assert_eq!(answer.header("content-type"), Some("application/json"));

    let answer = world.invoke("f", r#"{"fail": "yes"}"#).await;
    assert_eq!((answer.status, answer.header("x-amz-function-error")), (200, Some("Unhandled")));
    assert_eq!(answer.header("x-amzn-trace-id"), answer.json()["trace_id"].as_str());
    assert_eq!(world.invoke("f", "").await.json()["event"], json!({}));
}

#[tokio::test]
async fn a_dry_run_runs_nothing_and_an_event_is_run_later() {
    let world = World::new().await;
    world.create("f").await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let answer = world.send("POST", &path, &[("x-amz-invocation-type", "DryRun")], "{}").await;
    assert_eq!((answer.told().as_str(), world.backend.launched.lock().unwrap().len()), ("204 ", 0));
    let answer = world.send("POST", &path, &[("x-amz-invocation-type", "Event")], "{}").await;
    assert_eq!((answer.told().as_str(), answer.header("x-amz-executed-version")), ("202 ", None));
    while world.backend.launched.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_bad_invocation_is_refused_in_awss_words() {
    let world = World::new().await;
    world.create("f").await;
    let bad_type = ("x-amz-invocation-type", "Never");
    let bad_context = ("x-amz-client-context", "e30");
    for (name, header, payload, expected) in [
        (
            "f!",
            None,
            "{}",
            r#"400 ValidationException {"message":"1 validation error detected: Value 'f!' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"}"#,
        ),
        (
            "f",
            Some(bad_type),
            "{}",
            r#"400 ValidationException {"message":"1 validation error detected: Value 'Never' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]"}"#,
        ),
        (
            "f",
            Some(bad_context),
            "{}",
            r#"400 InvalidRequestContentException {"Type":"User","message":"Client context must be a valid Base64-encoded JSON object."}"#,
        ),
        (
            "f",
            None,
            "{",
            r#"400 InvalidRequestContentException {"Type":"User","message":"Could not parse request body into json: Could not parse payload into json: Unexpected end-of-input: expected close marker for Object (start marker at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1])\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 2]"}"#,
        ),
    ] {
        let path = format!("{FUNCTIONS}/{name}/invocations");
        assert_eq!(world.send("POST", &path, header.as_slice(), payload).await.told(), expected, "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_invoked_is_refused_with_the_cause() {
    let world = World::new().await;
    for name in ["f", "unlaunchable", "unpreparable"] {
        world.create(name).await;
    }
    world.post(FUNCTIONS, creation("unready")).await;
    let elsewhere =
        ("authorization", "AWS4-HMAC-SHA256 Credential=123456789012/20260101/eu-west-1/lambda/aws4_request");
    for (name, header, expected) in [
        (
            "nobody",
            None,
            r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody:$LATEST","Type":"User"}"#,
        ),
        (
            "f:nowhere",
            None,
            r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:nowhere","Type":"User"}"#,
        ),
        (
            "f:7",
            None,
            r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:7","Type":"User"}"#,
        ),
        (
            "f",
            Some(elsewhere),
            r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST","Type":"User"}"#,
        ),
        (
            "unready",
            None,
            r#"409 ResourceConflictException {"Type":"User","message":"The operation cannot be performed at this time. The function is currently in the following state: Pending"}"#,
        ),
        (
            "unpreparable",
            None,
            r#"409 ResourceConflictException {"Type":"User","message":"The operation cannot be performed at this time. The function is currently in the following state: Failed"}"#,
        ),
        (
            "unlaunchable",
            None,
            r#"502 ResourceNotReadyException {"Type":"Server","message":"The function could not be started: the image is gone"}"#,
        ),
    ] {
        let path = format!("{FUNCTIONS}/{name}/invocations");
        assert_eq!(world.send("POST", &path, header.as_slice(), "{}").await.told(), expected, "{name}");
    }
}

#[tokio::test]
async fn an_event_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let world = World::new().await;
    world.create("f").await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let event = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let answer = world.send("POST", &path, &[], event(6_291_457)).await;
    assert_eq!(
        answer.told(),
        r#"413 RequestEntityTooLargeException {"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}"#
    );
    let later = [("x-amz-invocation-type", "Event")];
    assert_eq!(world.send("POST", &path, &later, event(1_048_577)).await.status, 413);
    assert_eq!(world.send("POST", &path, &later, event(1_048_576)).await.status, 202);
}
