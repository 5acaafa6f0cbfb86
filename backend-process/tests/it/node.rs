//! Node.js functions.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{World, environment, invoke, invoke_with};

/// Whether there is a node here to test with.
fn node_is_there() -> bool {
    let there = Command::new("node")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        println!("skipped: node is not on this machine");
    }
    there
}

/// A file, what is in it, the handler, and the answer without its trace.
type Row = (&'static str, &'static str, &'static str, &'static str);

const ANSWERS: &[Row] = &[
    ("index.mjs", "export const handler = async (event) => event;", "index.handler", r#"{"n": 1}"#),
    ("index.cjs", "exports.handler = async (event) => event.n;", "index.handler", "1"),
    (
        "index.js",
        "exports.handler = (e, c, callback) => callback(null, 'called');",
        "index.handler",
        r#""called""#,
    ),
    ("index.js", "exports.handler = (e, context) => context.succeed('done');", "index.handler", r#""done""#),
    ("index.js", "exports.handler = () => {};", "index.handler", "null"),
    (
        "index.js",
        "exports.handler = (e, c, callback) => setTimeout(() => callback(null, 'late'), 20);",
        "index.handler",
        r#""late""#,
    ),
    ("index.js", "exports.a = { b: async () => undefined };", "index.a.b", "null"),
    ("lib/deep/index.js", "exports.handler = async () => 'deep';", "lib/deep/index.handler", r#""deep""#),
];

/// The same, with the error's type and message for an answer.
const ERRORS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "index.mjs",
        "export const handler = async () => { throw new TypeError('bad'); };",
        "index.handler",
        "TypeError",
        "bad",
    ),
    (
        "index.js",
        "exports.handler = (e, c, callback) => callback('text');",
        "index.handler",
        "string",
        "text",
    ),
    (
        "index.js",
        "exports.handler = (e, c) => c.fail(new Error('failed'));",
        "index.handler",
        "Error",
        "failed",
    ),
    ("index.js", "exports.handler = () => { throw new Error('sync'); };", "index.handler", "Error", "sync"),
    (
        "index.js",
        "exports.handler = async () => new Promise(() => {});",
        "index.handler",
        "Runtime.NodeJsExit",
        "the handler never answers: nothing is left that it could wait for",
    ),
    (
        "index.js",
        "exports.handler = async () => { const a = {}; a.a = a; return a; };",
        "index.handler",
        "Error",
        "Unable to stringify response body",
    ),
    (
        "index.js",
        "exports.handler = () => { setTimeout(() => { throw new Error('uncaught'); }, 1); setTimeout(() => {}, 9999); };",
        "index.handler",
        "Error",
        "uncaught",
    ),
    (
        "index.js",
        "exports.handler = () => { Promise.reject(new Error('r')); setTimeout(() => {}, 9999); };",
        "index.handler",
        "Runtime.UnhandledPromiseRejection",
        "Error: r",
    ),
    ("index.js", "throw new RangeError('at load');", "index.handler", "RangeError", "at load"),
    (
        "index.js",
        "exports.other = 1;",
        "index.handler",
        "Runtime.HandlerNotFound",
        "index.handler is undefined or not exported",
    ),
    (
        "index.js",
        "exports.handler = 1;",
        "index.handler",
        "Runtime.HandlerNotFound",
        "index.handler is not a function",
    ),
    ("index.js", "", "index", "Runtime.MalformedHandlerName", "Bad handler"),
    (
        "index.js",
        "exports.handler = async () => process.exit(0);",
        "index.handler",
        "Runtime.ExitError",
        "RequestId: id-1 Error: Runtime exited without providing a reason",
    ),
];

#[tokio::test]
async fn a_handler_is_called_and_its_errors_reported_as_on_lambda() {
    if !node_is_there() {
        return;
    }
    let world = World::new().await;
    for (file, source, handler, expected) in ANSWERS {
        let answer =
            world.run(&world.function("nodejs22.x", handler, &[(file, source)]), r#"{"n": 1}"#).await;
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!((answer.json(), answer.error), (expected, None), "{source}");
    }
    for (file, source, handler, kind, message) in ERRORS {
        let answer = world.run(&world.function("nodejs22.x", handler, &[(file, source)]), "{}").await;
        let body = answer.json();
        assert_eq!((&body["errorType"], &body["errorMessage"]), (&json!(kind), &json!(message)), "{source}");
        assert_eq!(answer.error.as_deref(), Some("Unhandled"), "{source}");
    }
}

#[tokio::test]
async fn missing_modules_and_wrong_syntax_have_names_of_their_own() {
    if !node_is_there() {
        return;
    }
    let world = World::new().await;
    for (files, handler, kind) in [
        (("index.js", "require('absent')"), "index.handler", "Runtime.ImportModuleError"),
        (("index.js", ""), "absent.handler", "Runtime.ImportModuleError"),
        (("index.js", "const = 1"), "index.handler", "Runtime.UserCodeSyntaxError"),
    ] {
        let answer = world.run(&world.function("nodejs22.x", handler, &[files]), "{}").await;
        assert_eq!(answer.json()["errorType"], kind, "{answer:?}");
        assert_eq!(answer.error.as_deref(), Some("Unhandled"));
    }
}

#[tokio::test]
async fn an_instance_is_used_again_and_its_context_and_log_look_as_on_lambda() {
    if !node_is_there() {
        return;
    }
    let source = r"
let n = 0;
export const handler = async (event, context) => {
  console.log('hello', { n: ++n });
  console.error('oh');
  const { getRemainingTimeInMillis, ...rest } = context;
  return { n, rest, remaining: getRemainingTimeInMillis() > 0, trace: process.env._X_AMZN_TRACE_ID };
};";
    let world = World::new().await;
    let instance =
        world.launch(&world.function("nodejs22.x", "index.handler", &[("index.mjs", source)])).await;
    let headers = [
        ("x-amz-client-context", "eyJhIjoi/CJ9"),
        ("x-amzn-trace-id", "Root=1"),
        ("lambda-runtime-aws-tenant-id", "t"),
    ];
    let refused = invoke(&instance, "id-0", "{}").await;
    assert_eq!(refused.json()["n"], 1);
    let headers = [("x-amz-client-context", "eyJhIjoiw7wifQ=="), headers[1], headers[2]];
    let answer = invoke_with(&instance, "id-1", "{}", &headers).await;
    assert_eq!(
        answer.json(),
        json!({
            "n": 2, "remaining": true, "trace": "Root=1",
            "rest": {
                "callbackWaitsForEmptyEventLoop": true, "functionVersion": "$LATEST", "functionName": "f",
                "memoryLimitInMB": "128", "logGroupName": "/aws/lambda/f", "logStreamName": "the-stream",
                "clientContext": {"a": "ü"}, "awsRequestId": "id-1", "tenantId": "t",
                "invokedFunctionArn": "arn:aws:lambda:eu-west-1:000000000000:function:f",
            }
        })
    );
    let fields: Vec<_> = answer.log[1].split('\t').skip(1).collect();
    assert_eq!(fields, ["id-1", "INFO", "hello { n: 2 }"]);
    let fields: Vec<_> = answer.log[2].split('\t').skip(1).collect();
    assert_eq!(fields, ["id-1", "ERROR", "oh"]);
    world.terminate(&instance).await;
}

#[tokio::test]
async fn the_environment_is_that_of_lambda() {
    if !node_is_there() {
        return;
    }
    let world = World::new().await;
    let source = "export const handler = async () => process.env;";
    let spec = world.function("nodejs22.x", "index.handler", &[("index.mjs", source)]);
    let environment = environment(&world.run(&spec, "{}").await);
    let task = &spec.code.as_ref().unwrap().dir_path;
    assert_eq!(&environment["LAMBDA_TASK_ROOT"], task);
    assert!(environment["NODE_PATH"].ends_with(&format!(":{task}")), "{}", environment["NODE_PATH"]);
    assert!(!environment.contains_key("HOME"));
}

#[tokio::test]
async fn a_layer_brings_modules() {
    if !node_is_there() {
        return;
    }
    let world = World::new().await;
    let mut spec = world.function(
        "nodejs22.x",
        "index.handler",
        &[("index.js", "exports.handler = async () => require('own');")],
    );
    spec.layers =
        vec![world.artifact("layer", &[("nodejs/node_modules/own/index.js", "module.exports = 'own';")])];
    assert_eq!(world.run(&spec, "{}").await.json(), json!("own"));
}

#[tokio::test]
async fn a_streamed_response_arrives_whole_where_a_buffered_one_is_asked_for() {
    if !node_is_there() {
        return;
    }
    let source = r"
export const handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.setContentType('text/plain');
  stream.write('one ');
  await new Promise((resolve) => setTimeout(resolve, 5));
  stream.end('two');
});";
    let world = World::new().await;
    let spec = world.function("nodejs22.x", "index.handler", &[("index.mjs", source)]);
    let answer = world.run(&spec, "{}").await;
    assert_eq!((&*answer.body, answer.error), (&b"one two"[..], None));
}
