//! What one may do, and tokens for accounts.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::route::Review;
use super::{Api, Call, Reply, reply};
use crate::access::{self, Attempt, User};
use crate::clock;
use crate::failure::{Cause, Failure};
use crate::resource::SERVICE_ACCOUNTS;

const SHORTEST_TOKEN: i64 = 600;
const USUAL_TOKEN: i64 = 3600;

pub(super) fn serve(api: &Api, user: &User, kind: Review, body: &[u8]) -> Result<Reply, Failure> {
    let review: Value =
        serde_json::from_slice(body).map_err(|error| Failure::bad_request(error.to_string()))?;
    let answer = match kind {
        Review::Access => access_review(api, user, &review["spec"]["resourceAttributes"]),
        Review::Rules => rules_review(api, user, &review["spec"]),
    };
    Ok(reply::json(201, &answer))
}

fn access_review(api: &Api, user: &User, asked: &Value) -> Value {
    let text = |field: &str| asked[field].as_str().unwrap_or("");
    let resource = match text("subresource") {
        "" => text("resource").to_owned(),
        subresource => format!("{}/{subresource}", text("resource")),
    };
    let attempt = Attempt {
        verb: text("verb"),
        group: text("group"),
        resource: &resource,
        namespace: text("namespace"),
        name: text("name"),
    };
    let allowed = api.cluster.with(|state, _| access::allowed(state, user, &attempt));
    let mut status = json!({"allowed": allowed.is_some()});
    if let Some(reason) = allowed.filter(|reason| !reason.is_empty()) {
        status["reason"] = json!(reason);
    }
    let mut attributes = asked.clone();
    if let Some(attributes) = attributes.as_object_mut() {
        attributes.retain(|_, value| *value != "");
    }
    json!({
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": null}, "spec": {"resourceAttributes": attributes}, "status": status,
    })
}

fn rules_review(api: &Api, user: &User, spec: &Value) -> Value {
    let namespace = spec["namespace"].as_str().unwrap_or("default");
    let rules = api.cluster.with(|state, _| access::rules_of(state, user, namespace));
    json!({
        "kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": null}, "spec": {},
        "status": {
            "resourceRules": rules,
            "nonResourceRules": [
                {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"]},
            ],
            "incomplete": false,
        },
    })
}

pub(super) fn issue_token(api: &Api, call: &Call, body: &[u8]) -> Result<Reply, Failure> {
    let request: Value =
        serde_json::from_slice(body).map_err(|error| Failure::bad_request(error.to_string()))?;
    if *call.resource != SERVICE_ACCOUNTS {
        return Err(Failure::no_such_resource());
    }
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(USUAL_TOKEN);
    if seconds < SHORTEST_TOKEN {
        let why = "may not specify a duration less than 10 minutes";
        let cause = Cause::invalid("spec.expirationSeconds", &seconds.to_string(), why);
        let details = json!({"group": "authentication.k8s.io", "kind": "TokenRequest"});
        return Err(Failure::invalid_as("TokenRequest.authentication.k8s.io", details, "", &[cause]));
    }
    let key = call.key();
    let answer = api.cluster.with(|state, now| {
        if state.store.get(&key).is_none() {
            return Err(Failure::not_found(call.resource, &key.name));
        }
        let until = now + SignedDuration::from_secs(seconds);
        let token = state.tokens.issue(&key.namespace, &key.name, until);
        Ok(json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": key.name, "namespace": key.namespace, "creationTimestamp": clock::seconds(now)},
            "spec": {
                "audiences": ["https://kubernetes.default.svc"], "expirationSeconds": seconds,
                "boundObjectRef": null,
            },
            "status": {"token": token, "expirationTimestamp": clock::seconds(until)},
        }))
    })?;
    Ok(reply::json(201, &answer))
}
