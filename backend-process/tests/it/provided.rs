//! Functions that bring their own bootstrap.

use std::process::Command;

use serde_json::json;

use crate::support::{World, environment};

const BOOTSTRAP: &str = r#"#!PYTHON
import http.client, json, os
environment = dict(os.environ)
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    response = api.getresponse()
    response.read()
    id = response.headers["Lambda-Runtime-Aws-Request-Id"]
    api.request("POST", f"/2018-06-01/runtime/invocation/{id}/response", json.dumps(environment))
    api.getresponse().read()
"#;

#[tokio::test]
async fn the_bootstrap_of_the_code_is_run_in_the_environment_of_lambda() {
    let world = World::new().await;
    let python =
        Command::new("python3").args(["-c", "import sys; print(sys.executable, end='')"]).output().unwrap();
    let bootstrap = BOOTSTRAP.replace("PYTHON", str::from_utf8(&python.stdout).unwrap());
    let mut spec = world.function("provided.al2023", "any", &[("bootstrap", &bootstrap)]);
    spec.env.remove("AWS_EXECUTION_ENV");
    let environment = environment(&world.run(&spec, "{}").await);
    for absent in ["PWD", "SHLVL", "PYTHONPATH", "NODE_PATH", "AWS_EXECUTION_ENV"] {
        assert!(!environment.contains_key(absent), "{absent}");
    }
    assert_eq!(environment["_HANDLER"], "any");
}

#[tokio::test]
async fn a_layer_may_bring_the_bootstrap_and_none_at_all_is_an_error_of_its_own() {
    let world = World::new().await;
    let mut spec = world.function("provided.al2023", "any", &[]);
    let missing = world.run(&spec, "{}").await;
    let path = format!("{}/bootstrap", spec.code.as_ref().unwrap().dir_path);
    assert_eq!(
        missing.json(),
        json!({
            "errorType": "Runtime.InvalidEntrypoint",
            "errorMessage": format!("RequestId: id-1 Error: Couldn't find valid bootstrap(s): [{path}]"),
        })
    );
    spec.layers = vec![world.artifact("layer", &[("bootstrap", "#!/bin/sh\nexit 7\n")])];
    let answer = world.run(&spec, "{}").await.json();
    assert_eq!(answer["errorMessage"], "RequestId: id-1 Error: Runtime exited with error: exit status 7");
}
