//! What happens to an object between the request and the store.

pub(crate) mod decode;
mod defaults;
mod quantity;
mod quota;
mod security;
mod validate;
mod validate_parts;
mod validate_pod;

use serde_json::{Value, json};

use crate::cluster::State;
use crate::failure::{Body, Failure};
use crate::resource::{
    NAMESPACES, PODS, PRIORITY_CLASSES, RUNTIME_CLASSES, Resource, SECRETS, SERVICE_ACCOUNTS,
};
use crate::store::Key;

pub(crate) use self::defaults::random_suffix;
pub(crate) use self::quantity::Quantity;
pub(crate) use self::quota::count as count_quotas;

/// Checks and completes an object that a client wants to be made.
pub(crate) fn admit_new(
    state: &State,
    resource: &'static Resource,
    namespace: &str,
    object: &mut Value,
) -> Result<(), Failure> {
    let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
    if resource.namespaced {
        check_namespace(state, resource, namespace, &name)?;
    }
    if *resource == PODS {
        defaults::complete_pod(object);
    }
    if *resource == SECRETS {
        defaults::complete_secret(object);
    }
    complete_metadata(object);
    if *resource == PODS {
        check_account(state, namespace, object, &name)?;
        check_classes(state, object, &name)?;
        defaults::mount_account(object);
    }
    let causes = validate::causes(resource, object);
    if !causes.is_empty() {
        return Err(Failure::invalid(resource, &name, &causes));
    }
    if *resource == PODS {
        let key = Key::new(&NAMESPACES, "", namespace);
        let level =
            state.store.get(&key).map(|it| &it["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]);
        security::check(level.and_then(Value::as_str).unwrap_or("privileged"), object, &name)?;
        quota::check(&state.store, namespace, object, &name)?;
    }
    Ok(())
}

/// Checks an object that a client wants to be changed. `before` has been admitted once.
pub(crate) fn admit_change(
    resource: &'static Resource,
    before: &Value,
    object: &mut Value,
    is_resize: bool,
) -> Result<(), Failure> {
    let name = before["metadata"]["name"].as_str().unwrap_or("").to_owned();
    if *resource == SECRETS {
        defaults::complete_secret(object);
    }
    let mut causes = validate::change_causes(resource, before, object);
    if causes.is_empty() && *resource == PODS {
        causes = if is_resize {
            validate_pod::resize_causes(before, object)
        } else {
            validate_pod::immutable_spec(before, object)
        };
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid(resource, &name, &causes)) }
}

fn check_namespace(state: &State, resource: &Resource, namespace: &str, name: &str) -> Result<(), Failure> {
    let Some(found) = state.store.get(&Key::new(&NAMESPACES, "", namespace)) else {
        return Err(Failure::not_found(&NAMESPACES, namespace));
    };
    if found["metadata"]["deletionTimestamp"].is_null() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut failure = Failure::forbidden(resource, name, &why);
    if let Body::Status(status) = &mut failure.body {
        status["details"]["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
    }
    Err(failure)
}

fn check_account(state: &State, namespace: &str, pod: &Value, name: &str) -> Result<(), Failure> {
    let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    if state.store.get(&Key::new(&SERVICE_ACCOUNTS, namespace, account)).is_some() {
        return Ok(());
    }
    let why = format!(
        "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
    );
    Err(Failure::forbidden(&PODS, name, &why))
}

/// Classes that a pod names must be there; that of the priority says what it is.
fn check_classes(state: &State, pod: &mut Value, name: &str) -> Result<(), Failure> {
    if let Some(class) = pod["spec"]["priorityClassName"].as_str() {
        let key = Key::new(&PRIORITY_CLASSES, "", class);
        let Some(found) = state.store.get(&key) else {
            let why = format!("no PriorityClass with name {class} was found");
            return Err(Failure::forbidden(&PODS, name, &why));
        };
        pod["spec"]["priority"] = found["value"].clone();
    }
    if let Some(class) = pod["spec"]["runtimeClassName"].as_str() {
        let key = Key::new(&RUNTIME_CLASSES, "", class);
        if state.store.get(&key).is_none() {
            let why = format!("pod rejected: RuntimeClass {class:?} not found");
            return Err(Failure::forbidden(&PODS, name, &why));
        }
    }
    Ok(())
}

/// What a client may not set itself.
fn complete_metadata(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"] {
            metadata.remove(field);
        }
    }
}

/// Warnings about an object that is accepted all the same.
pub(crate) fn warnings(resource: &Resource, object: &Value) -> Vec<String> {
    if *resource == PODS { validate_pod::warnings(object) } else { Vec::new() }
}
