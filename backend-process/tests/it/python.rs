//! Python functions.

use hearth_core::{Backend, CallContext, LaunchSpec};
use serde_json::{Value, json};

use crate::support::{World, environment, invoke, invoke_with};

/// A handler's source, its name, and the answer: an error if it has an error type.
struct Row {
    source: &'static str,
    handler: &'static str,
    answer: Value,
}

fn failed(kind: &str, message: &str, request_id: &str) -> Value {
    json!({"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": []})
}

fn rows() -> Vec<Row> {
    let answers = |source, answer| Row { source, handler: "app.handler", answer };
    vec![
        answers("def handler(event, context): return event", json!({"a": "ü"})),
        answers("def handler(event, context): pass", json!(null)),
        answers(
            "from decimal import Decimal as D\ndef handler(e, c): return [D('1.10'), {'d': D('3')}]",
            serde_json::from_str(r#"[1.10, {"d": 3}]"#).unwrap(),
        ),
        answers(
            "import datetime\ndef handler(e, c): return datetime.datetime(2020, 1, 1)",
            failed(
                "Runtime.MarshalError",
                "Unable to marshal response: Object of type datetime is not JSON serializable",
                "id-1",
            ),
        ),
        Row {
            source: "",
            handler: "app.nothing",
            answer: failed("Runtime.HandlerNotFound", "Handler 'nothing' missing on module 'app'", ""),
        },
        Row {
            source: "",
            handler: "absent.handler",
            answer: failed(
                "Runtime.ImportModuleError",
                "Unable to import module 'absent': No module named 'absent'",
                "",
            ),
        },
        Row {
            source: "",
            handler: "handler",
            answer: failed(
                "Runtime.MalformedHandlerName",
                "Bad handler 'handler': not enough values to unpack (expected 2, got 1)",
                "",
            ),
        },
        Row {
            source: "",
            handler: "sys.exit",
            answer: failed(
                "Runtime.BuiltInModuleConflict",
                "Cannot use built-in module sys as a handler module",
                "",
            ),
        },
        Row {
            source: "",
            handler: "deep/er.module.handler",
            answer: failed(
                "Runtime.ImportModuleError",
                "Unable to import module 'deep/er.module': No module named 'deep'",
                "",
            ),
        },
        answers(
            "import sys\ndef handler(event, context): sys.exit(0)",
            json!({"errorType": "Runtime.ExitError", "errorMessage": "RequestId: id-1 Error: Runtime exited without providing a reason"}),
        ),
    ]
}

#[tokio::test]
async fn a_handler_is_called_and_its_errors_reported_as_on_lambda() {
    let world = World::new().await;
    for row in rows() {
        let spec = world.function("python3.13", row.handler, &[("app.py", row.source)]);
        let answer = world.run(&spec, r#"{"a": "ü"}"#).await;
        let context = format!("{} {}: {answer:?}", row.handler, row.source);
        assert_eq!(answer.json(), row.answer, "{context}");
        let expected_error = row.answer.get("errorType").map(|_| "Unhandled");
        assert_eq!(answer.error.as_deref(), expected_error, "{context}");
    }
}

#[tokio::test]
async fn a_trace_shows_the_function_and_nothing_above_it() {
    let world = World::new().await;
    let raises = "def handler(event, context):\n    raise Exception('Handler fails')\n";
    let spec = world.function("python3.13", "pkg/sub.app.handler", &[("pkg/sub/app.py", raises)]);
    let file = format!("{}/pkg/sub/app.py", spec.code.as_ref().unwrap().dir_path);
    let answer = world.run(&spec, "{}").await;
    let trace = format!("  File \"{file}\", line 2, in handler\n    raise Exception('Handler fails')\n");
    let mut expected = failed("Exception", "Handler fails", "id-1");
    expected["stackTrace"] = json!([trace]);
    assert_eq!(answer.json(), expected);
    let at = answer.log.iter().position(|line| line == "[ERROR] Exception: Handler fails").unwrap();
    assert_eq!(answer.log[at + 1], "Traceback (most recent call last):");
    assert_eq!(answer.log[at + 2], format!("\u{a0}\u{a0}File \"{file}\", line 2, in handler"));

    let at_import = world.function(
        "python3.13",
        "app.handler",
        &[("app.py", "raise Exception('Runtime startup fails')")],
    );
    let answer = world.run(&at_import, "{}").await.json();
    assert_eq!(answer["errorMessage"], "Runtime startup fails");
    assert_eq!(answer["requestId"], "");
    let trace: Vec<String> = serde_json::from_value(answer["stackTrace"].clone()).unwrap();
    assert!(trace[0].contains("importlib/__init__.py"), "{trace:?}");
    assert!(
        trace.last().unwrap().ends_with("in <module>\n    raise Exception('Runtime startup fails')\n"),
        "{trace:?}"
    );

    let wrong_syntax = world.function("python3.13", "app.handler", &[("app.py", "def handler(:")]);
    let answer = world.run(&wrong_syntax, "{}").await.json();
    assert_eq!(answer["errorType"], "Runtime.UserCodeSyntaxError");
    assert!(
        answer["errorMessage"].as_str().unwrap().starts_with("Syntax error in module 'app': "),
        "{answer}"
    );
}

#[tokio::test]
async fn the_context_is_complete_and_the_log_looks_as_on_lambda() {
    let source = r#"
import logging, os
logging.getLogger().setLevel("INFO")
def handler(event, context):
    print("printed")
    logging.info("logged %s", 1)
    c = context
    return [c.aws_request_id, c.function_name, c.function_version, c.memory_limit_in_mb, c.log_group_name,
            c.log_stream_name, c.invoked_function_arn, c.tenant_id, c.client_context.custom, c.client_context.client.app_title,
            c.identity.cognito_identity_id, 0 < c.get_remaining_time_in_millis() <= 60000, os.environ["_X_AMZN_TRACE_ID"]]
"#;
    let world = World::new().await;
    let instance = world.launch(&world.function("python3.13", "app.handler", &[("app.py", source)])).await;
    // {"custom":{"k":"v"},"client":{"app_title":"t"}}
    let headers = [
        ("x-amz-client-context", "eyJjdXN0b20iOnsiayI6InYifSwiY2xpZW50Ijp7ImFwcF90aXRsZSI6InQifX0="),
        ("lambda-runtime-cognito-identity", r#"{"cognitoIdentityId":"i"}"#),
        ("lambda-runtime-aws-tenant-id", "tenant"),
        ("x-amzn-trace-id", "Root=1-2-3"),
    ];
    let answer = invoke_with(&instance, "id-1", "{}", &headers).await;
    assert_eq!(
        answer.json(),
        json!([
            "id-1", "f", "$LATEST", "128", "/aws/lambda/f", "the-stream",
            "arn:aws:lambda:eu-west-1:000000000000:function:f", "tenant", {"k": "v"}, "t", "i", true, "Root=1-2-3"
        ])
    );
    assert_eq!(answer.log[1], "printed");
    let (level, rest) = answer.log[2].split_once('\t').unwrap();
    let (time, rest) = rest.split_once('\t').unwrap();
    assert_eq!((level, rest), ("[INFO]", "id-1\tlogged 1"));
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    world.terminate(&instance).await;
}

#[tokio::test]
async fn globals_live_as_long_as_the_instance_and_modules_come_from_code_and_layers() {
    let source = "import helper, layered\nn = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return [n, helper.x, layered.x]";
    let world = World::new().await;
    let mut spec =
        world.function("python3.13", "app.handler", &[("app.py", source), ("helper.py", "x = 'code'")]);
    spec.layers = vec![
        world.artifact("one", &[("python/layered.py", "x = 'one'"), ("python/helper.py", "x = 'layer'")]),
        world.artifact("two", &[("python/layered.py", "x = 'two'")]),
    ];
    let instance = world.launch(&spec).await;
    for n in 1..=2 {
        assert_eq!(invoke(&instance, "id", "{}").await.json(), json!([n, "code", "two"]));
    }
    world.terminate(&instance).await;
    let written = std::fs::read_dir(&spec.code.as_ref().unwrap().dir_path).unwrap().count();
    assert_eq!(written, 2, "nothing is written into the code");
}

#[tokio::test]
async fn the_environment_is_that_of_lambda_and_nothing_of_the_hosts() {
    let world = World::new().await;
    let source = "import os\ndef handler(e, c): return dict(os.environ)";
    let spec = world.function("python3.13", "app.handler", &[("app.py", source)]);
    let answer = world.run(&spec, "{}").await;
    let names: Vec<_> = environment(&answer).into_keys().collect();
    assert_eq!(
        names,
        [
            "AWS_EXECUTION_ENV",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            "AWS_LAMBDA_FUNCTION_NAME",
            "AWS_LAMBDA_FUNCTION_VERSION",
            "AWS_LAMBDA_LOG_GROUP_NAME",
            "AWS_LAMBDA_LOG_STREAM_NAME",
            "AWS_LAMBDA_RUNTIME_API",
            "LAMBDA_RUNTIME_DIR",
            "LAMBDA_TASK_ROOT",
            "LANG",
            "LC_CTYPE",
            "LD_LIBRARY_PATH",
            "PATH",
            "PWD",
            "PYTHONPATH",
            "SHLVL",
            "TMPDIR",
            "TZ",
            "_HANDLER",
        ]
    );
}

#[tokio::test]
async fn several_slots_are_several_threads() {
    let source = "import threading\nbarrier = threading.Barrier(2)\ndef handler(e, c):\n    barrier.wait(50)\n    return c.aws_request_id";
    let world = World::new().await;
    let mut spec = world.function("python3.13", "app.handler", &[("app.py", source)]);
    spec.slots = 2;
    let instance = world.launch(&spec).await;
    let (one, two) = tokio::join!(invoke(&instance, "one", "{}"), invoke(&instance, "two", "{}"));
    assert_eq!((one.json(), two.json()), (json!("one"), json!("two")));
    world.terminate(&instance).await;
}

#[tokio::test]
async fn a_wrapper_that_is_missing_ends_with_status_127_and_one_that_is_there_wraps() {
    let world = World::new().await;
    let source = "import os\ndef handler(e, c): return os.environ['WRAPPED']";
    let wrapper = "#!/bin/sh\nexport WRAPPED=yes\nexec \"$@\"\n";
    let mut spec = world.function("python3.13", "app.handler", &[("app.py", source), ("wrapper", wrapper)]);
    spec.env.insert("AWS_LAMBDA_EXEC_WRAPPER".into(), "/var/task/wrapper".into());
    assert_eq!(world.run(&spec, "{}").await.json(), json!("yes"));
    spec.env.insert("AWS_LAMBDA_EXEC_WRAPPER".into(), "/idontexist".into());
    let answer = world.run(&spec, "{}").await.json();
    assert_eq!(
        answer,
        json!({"errorType": "Runtime.ExitError", "errorMessage": "RequestId: id-1 Error: Runtime exited with error: exit status 127"})
    );
}

#[tokio::test]
async fn preparing_refuses_what_this_backend_cannot_run() {
    let world = World::new().await;
    let java = world.function("java21", "a.B", &[]);
    let image = LaunchSpec { code: None, ..java.clone() };
    let prepare = async |spec: LaunchSpec| world.backend.prepare(&CallContext::default(), &spec).await;
    let refused = prepare(java).await.unwrap_err();
    assert!(refused.message.contains("not java21: use another backend"), "{refused}");
    assert!(prepare(image).await.unwrap_err().message.contains("no container images"));
    prepare(world.function("python3.13", "app.handler", &[])).await.unwrap();
}
