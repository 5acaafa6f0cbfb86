//! Extensions that come in a layer.

use hearth_core::{Backend, CallContext};
use serde_json::{Value, json};

use crate::support::{World, invoke};

const EXTENSION: &str = r#"#!/usr/bin/env python3
import http.client, json, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body, headers):
    api.request(method, "/2020-01-01/extension/" + path, body, headers)
    response = api.getresponse()
    return response.headers, response.read()
headers, _ = call("POST", "register", '{"events": ["INVOKE"]}', {"Lambda-Extension-Name": "follower"})
id = {"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"]}
while True:
    event = json.loads(call("GET", "event/next", None, id)[1])
    with open(os.environ["TOLD"], "a") as told:
        told.write(event["requestId"] + "\n")
"#;

#[tokio::test]
async fn an_extension_in_a_layer_is_started_and_told_of_invocations() {
    let world = World::new().await;
    let told = world.directory.path().join("told");
    let source = "def handler(event, context): return event";
    let mut spec = world.function("python3.13", "app.handler", &[("app.py", source)]);
    spec.layers = vec![world.artifact("layer", &[("extensions/follower", EXTENSION)])];
    spec.env.insert("TOLD".into(), told.to_str().unwrap().into());
    let instance = world.launch(&spec).await;
    for id in ["one", "two", "three"] {
        assert_eq!(invoke(&instance, id, "1").await.json(), json!(1));
    }
    // It is asked for the third event only after it has written down the second.
    let written = std::fs::read_to_string(&told).unwrap();
    assert!(written.starts_with("one\ntwo\n"), "{written}");
    // Both groups are written down, for a later host to find if this one is killed.
    let record = world.directory.path().join("state/instances").join(&instance.handle).join("instance.json");
    let record: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    assert_eq!(record["groups"].as_array().unwrap().len(), 2, "{record}");
    world.backend.terminate(&CallContext::default(), &instance.handle, 1000).await.unwrap();
}
