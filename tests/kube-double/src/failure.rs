//! What the API answers when it does not do as it was asked: mostly `Status` objects.

use serde_json::{Value, json};

use crate::resource::Resource;

/// An answer other than success.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) body: Body,
    /// Seconds of a `Retry-After` header.
    pub(crate) retry_after: Option<u32>,
    /// Whether the answer comes from in front of the API proper, which adds a header.
    pub(crate) is_early: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Status(Value),
    Text(String),
}

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) field: String,
}

impl Cause {
    pub(crate) fn invalid(field: impl Into<String>, value: &str, why: &str) -> Self {
        let message = format!("Invalid value: {value}: {why}");
        Self { reason: "FieldValueInvalid", message, field: field.into() }
    }

    pub(crate) fn required(field: impl Into<String>, why: &str) -> Self {
        let message =
            if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self { reason: "FieldValueRequired", message, field: field.into() }
    }

    pub(crate) fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self { reason: "FieldValueForbidden", message: format!("Forbidden: {why}"), field: field.into() }
    }

    pub(crate) fn not_found(field: impl Into<String>, value: &str) -> Self {
        Self { reason: "FieldValueNotFound", message: format!("Not found: {value:?}"), field: field.into() }
    }

    pub(crate) fn too_long(field: impl Into<String>, most: usize) -> Self {
        let message = format!("Too long: may not be more than {most} bytes");
        Self { reason: "FieldValueTooLong", message, field: field.into() }
    }

    pub(crate) fn unsupported(field: impl Into<String>, value: &str, known: &[&str]) -> Self {
        let known: Vec<_> = known.iter().map(|it| format!("{it:?}")).collect();
        let message = format!("Unsupported value: {value:?}: supported values: {}", known.join(", "));
        Self { reason: "FieldValueNotSupported", message, field: field.into() }
    }

    fn json(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

impl Failure {
    pub(crate) fn status(
        code: u16,
        reason: &str,
        message: impl Into<String>,
        details: Option<Value>,
    ) -> Self {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message.into(), "code": code,
        });
        if !reason.is_empty() {
            status["reason"] = json!(reason);
        }
        if let Some(details) = details {
            status["details"] = details;
        }
        Self { code, body: Body::Status(status), retry_after: None, is_early: false }
    }

    pub(crate) fn text(code: u16, text: impl Into<String>) -> Self {
        Self { code, body: Body::Text(text.into()), retry_after: None, is_early: true }
    }

    /// The `Status` object; a plain text has none.
    pub(crate) fn object(&self) -> Value {
        match &self.body {
            Body::Status(status) => status.clone(),
            Body::Text(text) => json!(text),
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::status(400, "BadRequest", message, None)
    }

    /// The body is no such object.
    pub(crate) fn undecodable(resource: &Resource, kind: &str, why: &str) -> Self {
        let version = resource.version;
        Self::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: {why}",
            resource.kind
        ))
    }

    pub(crate) fn unauthorized() -> Self {
        Self::status(401, "Unauthorized", "Unauthorized", None)
    }

    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let qualified = resource.qualified();
        let subject = if name.is_empty() { qualified } else { format!("{qualified} {name:?}") };
        let message = format!("{subject} is forbidden: {why}");
        Self::status(403, "Forbidden", message, Some(details(resource, resource.plural, name)))
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::status(404, "NotFound", message, Some(details(resource, resource.plural, name)))
    }

    pub(crate) fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource";
        Self::status(404, "NotFound", message, Some(json!({})))
    }

    pub(crate) fn no_such_path() -> Self {
        Self::text(404, "404 page not found\n")
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::status(405, "MethodNotAllowed", message, Some(json!({})))
    }

    pub(crate) fn not_acceptable() -> Self {
        let message = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
                       application/vnd.kubernetes.protobuf, application/json;stream=watch, \
                       application/vnd.kubernetes.protobuf;stream=watch";
        Self::status(406, "NotAcceptable", message, Some(json!({})))
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str, is_terminating: bool) -> Self {
        let prefix = if is_terminating { "object is being deleted: " } else { "" };
        let message = format!("{prefix}{} {name:?} already exists", resource.qualified());
        Self::status(409, "AlreadyExists", message, Some(details(resource, resource.plural, name)))
    }

    /// A write that was made from an older version.
    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: the object has been modified; please apply your changes \
             to the latest version and try again",
            resource.qualified()
        );
        Self::status(409, "Conflict", message, Some(details(resource, resource.plural, name)))
    }

    /// A precondition of a deletion that does not hold. The kind is told, not the resource.
    pub(crate) fn precondition(resource: &Resource, name: &str, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.qualified_kind());
        Self::status(409, "Conflict", message, Some(details(resource, resource.kind, name)))
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::status(410, "Expired", message, None)
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::status(413, "RequestEntityTooLarge", message, None)
    }

    pub(crate) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        Self::invalid_as(&resource.qualified_kind(), details(resource, resource.kind, name), name, causes)
    }

    /// Options in the query that contradict each other.
    pub(crate) fn invalid_options(kind: &str, causes: &[Cause]) -> Self {
        let details = json!({"group": "meta.k8s.io", "kind": kind});
        Self::invalid_as(&format!("{kind}.meta.k8s.io"), details, "", causes)
    }

    pub(crate) fn invalid_as(what: &str, mut details: Value, name: &str, causes: &[Cause]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for cause in causes {
            let text = format!("{}: {}", cause.field, cause.message);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let list = if texts.len() == 1 { texts.remove(0) } else { format!("[{}]", texts.join(", ")) };
        details["causes"] = causes.iter().map(Cause::json).collect();
        Self::status(422, "Invalid", format!("{what} {name:?} is invalid: {list}"), Some(details))
    }

    /// A JSON patch that does not apply.
    pub(crate) fn rejected_patch() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::status(422, "Invalid", message, Some(json!({})))
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::status(500, "", message, None)
    }

    pub(crate) fn early(mut self) -> Self {
        self.is_early = true;
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

/// What a `Status` says the matter is about.
pub(crate) fn details(resource: &Resource, kind: &str, name: &str) -> Value {
    let mut details = json!({"kind": kind});
    if !name.is_empty() {
        details["name"] = json!(name);
    }
    if !resource.group.is_empty() {
        details["group"] = json!(resource.group);
    }
    details
}
