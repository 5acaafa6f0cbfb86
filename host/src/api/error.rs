//! AWS's errors: their names, status codes and bodies, and the one table that says which failure is which.

use std::fmt;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::catalog::package::{MAX_UNPACKED_BYTES, PackageError};
use crate::catalog::{ChangeError, ResolveError};
use crate::event_queue;
use crate::invoke::{InvokeError, Throttle};

/// Names the error in a response.
pub(super) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// One of AWS's error types.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// As in the header.
    pub(super) name: &'static str,
    /// Status of the response.
    pub(super) status: StatusCode,
    /// The member of the body that carries the text: the model has both spellings.
    pub(super) member: &'static str,
    /// Whose fault it is, where the body says so.
    pub(super) fault: Option<&'static str>,
}

macro_rules! kinds {
    ($($constant:ident = $name:literal $status:ident $member:literal $fault:expr;)*) => { $(
        #[doc = concat!("`", $name, "`.")]
        pub(super) const $constant: Kind =
            Kind { name: $name, status: StatusCode::$status, member: $member, fault: $fault };
    )* };
}

kinds! {
    ACCESS_DENIED = "AccessDeniedException" FORBIDDEN "Message" None;
    CODE_SIGNING_CONFIG_NOT_FOUND = "CodeSigningConfigNotFoundException" NOT_FOUND "Message" Some("User");
    INCOMPLETE_SIGNATURE = "IncompleteSignatureException" FORBIDDEN "message" None;
    INVALID_PARAMETER = "InvalidParameterValueException" BAD_REQUEST "message" Some("User");
    INVALID_REQUEST_CONTENT = "InvalidRequestContentException" BAD_REQUEST "message" Some("User");
    INVALID_SIGNATURE = "InvalidSignatureException" FORBIDDEN "message" None;
    MISSING_TOKEN = "MissingAuthenticationTokenException" FORBIDDEN "message" None;
    NOT_SUPPORTED = "NotSupportedByHostException" NOT_IMPLEMENTED "message" Some("User");
    POLICY_LENGTH_EXCEEDED = "PolicyLengthExceededException" BAD_REQUEST "message" Some("User");
    PROVISIONED_NOT_FOUND = "ProvisionedConcurrencyConfigNotFoundException" NOT_FOUND "message" Some("User");
    PRECONDITION_FAILED = "PreconditionFailedException" PRECONDITION_FAILED "message" Some("User");
    RECURSIVE_INVOCATION = "RecursiveInvocationException" BAD_REQUEST "Message" Some("User");
    REQUEST_TOO_LARGE = "RequestEntityTooLargeException" PAYLOAD_TOO_LARGE "Message" None;
    RESOURCE_CONFLICT = "ResourceConflictException" CONFLICT "message" Some("User");
    RESOURCE_NOT_FOUND = "ResourceNotFoundException" NOT_FOUND "Message" Some("User");
    RESOURCE_NOT_READY = "ResourceNotReadyException" BAD_GATEWAY "message" Some("Server");
    SERIALIZATION = "SerializationException" BAD_REQUEST "Message" None;
    SERVICE = "ServiceException" INTERNAL_SERVER_ERROR "Message" Some("Server");
    SERVICE_UNAVAILABLE = "ServiceUnavailableException" SERVICE_UNAVAILABLE "Message" Some("Server");
    TOO_MANY_REQUESTS = "TooManyRequestsException" TOO_MANY_REQUESTS "message" Some("User");
    UNKNOWN_OPERATION = "UnknownOperationException" NOT_FOUND "message" None;
    UNRECOGNIZED_CLIENT = "UnrecognizedClientException" FORBIDDEN "message" None;
    VALIDATION = "ValidationException" BAD_REQUEST "message" None;
}

/// What a client is told instead of an answer.
#[derive(Debug)]
pub(super) struct ApiError {
    kind: &'static Kind,
    message: String,
    fault: Option<&'static str>,
    reason: Option<&'static str>,
    retry_after_seconds: Option<u32>,
}

impl ApiError {
    /// An error with its text.
    pub(super) fn new(kind: &'static Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), fault: kind.fault, reason: None, retry_after_seconds: None }
    }

    /// A request that is well formed and means something impossible.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(&INVALID_PARAMETER, message)
    }

    /// The same error without saying whose fault it is: AWS forgets that in places.
    pub(super) fn without_fault(self) -> Self {
        Self { fault: None, ..self }
    }

    /// There is no function with this ARN, qualified or not.
    pub(super) fn no_function(arn: &str) -> Self {
        Self::new(&RESOURCE_NOT_FOUND, format!("Function not found: {arn}"))
    }

    /// A failed change of the function with this ARN.
    pub(super) fn change(error: ChangeError, arn: &str) -> Self {
        match error {
            ChangeError::FunctionNotFound | ChangeError::VersionNotFound => Self::no_function(arn),
            ChangeError::AliasNotFound => Self::new(&RESOURCE_NOT_FOUND, format!("Alias not found: {arn}")),
            ChangeError::LayerVersionNotFound | ChangeError::UrlNotFound => {
                Self::new(&RESOURCE_NOT_FOUND, "The resource you requested does not exist.")
            }
            ChangeError::FunctionExists => {
                let name = arn.rsplit(':').next().unwrap_or(arn);
                Self::new(&RESOURCE_CONFLICT, format!("Function already exist: {name}"))
            }
            ChangeError::AliasExists => Self::new(&RESOURCE_CONFLICT, format!("Alias already exists: {arn}")),
            // The spaces are AWS's.
            ChangeError::UrlExists => Self::new(
                &RESOURCE_CONFLICT,
                format!(
                    "Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig \
                     exists for this Lambda function"
                ),
            ),
            ChangeError::VersionInUse(alias) => {
                Self::new(&RESOURCE_CONFLICT, format!("The version {arn} is in use by the alias {alias}"))
            }
            ChangeError::NotActive(state) => Self::not_active(state.as_str()),
            ChangeError::UpdateInProgress => Self::new(
                &RESOURCE_CONFLICT,
                format!("{NOT_AT_THIS_TIME} An update is in progress for resource: {arn}"),
            ),
            ChangeError::RevisionMismatch => Self::new(
                &PRECONDITION_FAILED,
                "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API \
                 to retrieve the latest Revision Id",
            ),
            ChangeError::CodeMismatch { given, present } => Self::invalid(format!(
                "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({}). Please try again with \
                 the CodeSHA256 in $LATEST.",
                present.base64()
            )),
            ChangeError::TooLarge(size) => Self::invalid(format!(
                "Function code combined with layers exceeds the maximum allowed size of {MAX_UNPACKED_BYTES} bytes. \
                 The actual size is {size} bytes."
            )),
            error @ (ChangeError::CodeLost(_) | ChangeError::Store(_)) => Self::host(&error),
            ChangeError::Closed => Self::shutting_down(),
        }
    }

    /// A zip file that was not taken.
    pub(super) fn package(error: &PackageError) -> Self {
        match error {
            PackageError::Unreadable(_) | PackageError::Unsafe { .. } => {
                // The text is AWS's; what is wrong with the file goes to the log.
                tracing::info!(%error, "refused a zip file");
                Self::invalid(
                    "Could not unzip uploaded file. Please check your file, then try to upload again.",
                )
            }
            PackageError::Empty => Self::invalid("Uploaded file must be a non-empty zip"),
            PackageError::TooLarge => {
                Self::invalid(format!("Unzipped size must be smaller than {MAX_UNPACKED_BYTES} bytes"))
            }
            PackageError::Disk { .. } => Self::host(error),
        }
    }

    /// Nothing to invoke under this ARN, which carries the qualifier.
    pub(super) fn resolve(error: ResolveError, arn: &str) -> Self {
        match error {
            ResolveError::NotFound => Self::no_function(arn),
            ResolveError::NotActive(state) => Self::not_active(state.as_str()),
        }
    }

    /// An invocation that was not run.
    pub(super) fn invoke(error: InvokeError, arn: &str) -> Self {
        let cause = |error: Option<_>| match error {
            Some(error) => format!("{error}"),
            None => "the backend gave no reason".to_owned(),
        };
        match error {
            InvokeError::Throttled(throttle) => Self::throttled(throttle),
            InvokeError::NoInstanceInTime(error) => Self::new(
                &RESOURCE_NOT_READY,
                format!("The function waited for an instance, and none was ready in time: {}", cause(error)),
            ),
            InvokeError::LaunchFailed(error) => {
                Self::new(&RESOURCE_NOT_READY, format!("The function could not be started: {}", cause(error)))
            }
            InvokeError::Unreachable(problem) => Self::new(
                &RESOURCE_NOT_READY,
                format!("The function's instances could not be reached: {problem}"),
            ),
            InvokeError::FunctionGone => Self::no_function(arn),
            InvokeError::ShuttingDown => Self::shutting_down(),
        }
    }

    /// An event that could not be written down.
    pub(super) fn event_queue(error: &event_queue::StoreError) -> Self {
        Self::host(error)
    }

    fn throttled(throttle: Throttle) -> Self {
        let (reason, message, retry_after_seconds) = match throttle {
            Throttle::Reserved => {
                ("ReservedFunctionConcurrentInvocationLimitExceeded", "Rate Exceeded.", None)
            }
            Throttle::Account => ("ConcurrentInvocationLimitExceeded", "Rate Exceeded.", None),
            Throttle::Memory => (
                "ConcurrentInvocationLimitExceeded",
                "Rate Exceeded. The memory that this host may use for instances is taken.",
                Some(1),
            ),
            Throttle::Queue => (
                "ConcurrentInvocationLimitExceeded",
                "Rate Exceeded. Too many invocations of this function wait for an instance.",
                Some(1),
            ),
        };
        Self { reason: Some(reason), retry_after_seconds, ..Self::new(&TOO_MANY_REQUESTS, message) }
    }

    fn not_active(state: &str) -> Self {
        let message = format!("{NOT_AT_THIS_TIME} The function is currently in the following state: {state}");
        Self::new(&RESOURCE_CONFLICT, message)
    }

    /// The host goes down, and takes no more.
    pub(super) fn shutting_down() -> Self {
        Self::new(&SERVICE_UNAVAILABLE, "This host is shutting down.")
    }

    /// The host's own failure: an operator must look at it.
    fn host(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(&SERVICE, error.to_string())
    }

    fn body(&self) -> Value {
        let mut body = Map::new();
        if let Some(reason) = self.reason {
            body.insert("Reason".to_owned(), reason.into());
        }
        if let Some(fault) = self.fault {
            body.insert("Type".to_owned(), fault.into());
        }
        body.insert(self.kind.member.to_owned(), self.message.as_str().into());
        Value::Object(body)
    }
}

const NOT_AT_THIS_TIME: &str = "The operation cannot be performed at this time.";

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name, self.message)
    }
}

impl std::error::Error for ApiError {}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.kind.status, self.body().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ERROR_TYPE, HeaderValue::from_static(self.kind.name));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::function::State;

    const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

    fn told(error: &ApiError) -> String {
        let retry = error.retry_after_seconds.map(|seconds| format!(" (again after {seconds} s)"));
        format!(
            "{} {} {}{}",
            error.kind.status.as_u16(),
            error.kind.name,
            error.body(),
            retry.unwrap_or_default()
        )
    }

    #[test]
    fn each_failure_of_a_change_is_told_in_awss_words() {
        for (error, expected) in [
            (
                ChangeError::FunctionNotFound,
                r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f","Type":"User"}"#,
            ),
            (
                ChangeError::FunctionExists,
                r#"409 ResourceConflictException {"Type":"User","message":"Function already exist: f"}"#,
            ),
            (
                ChangeError::UpdateInProgress,
                r#"409 ResourceConflictException {"Type":"User","message":"The operation cannot be performed at this time. An update is in progress for resource: arn:aws:lambda:us-east-1:000000000000:function:f"}"#,
            ),
            (
                ChangeError::NotActive(State::Pending),
                r#"409 ResourceConflictException {"Type":"User","message":"The operation cannot be performed at this time. The function is currently in the following state: Pending"}"#,
            ),
            (
                ChangeError::RevisionMismatch,
                r#"412 PreconditionFailedException {"Type":"User","message":"The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"}"#,
            ),
        ] {
            assert_eq!(told(&ApiError::change(error, ARN)), expected);
        }
    }

    #[test]
    fn each_reason_not_to_run_an_invocation_is_told_with_its_cause() {
        for (error, expected) in [
            (
                InvokeError::Throttled(Throttle::Reserved),
                r#"429 TooManyRequestsException {"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
            ),
            (
                InvokeError::Throttled(Throttle::Account),
                r#"429 TooManyRequestsException {"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
            ),
            (
                InvokeError::Throttled(Throttle::Memory),
                r#"429 TooManyRequestsException {"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded. The memory that this host may use for instances is taken."} (again after 1 s)"#,
            ),
            (
                InvokeError::LaunchFailed(None),
                r#"502 ResourceNotReadyException {"Type":"Server","message":"The function could not be started: the backend gave no reason"}"#,
            ),
            (
                InvokeError::Unreachable("refused".into()),
                r#"502 ResourceNotReadyException {"Type":"Server","message":"The function's instances could not be reached: refused"}"#,
            ),
            (
                InvokeError::FunctionGone,
                r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f","Type":"User"}"#,
            ),
            (
                InvokeError::ShuttingDown,
                r#"503 ServiceUnavailableException {"Message":"This host is shutting down.","Type":"Server"}"#,
            ),
        ] {
            assert_eq!(told(&ApiError::invoke(error, ARN)), expected);
        }
    }

    #[test]
    fn a_bad_zip_is_told_in_awss_words() {
        for (error, message) in [
            (
                PackageError::Unreadable("x".into()),
                "Could not unzip uploaded file. Please check your file, then try to upload again.",
            ),
            (
                PackageError::Unsafe { name: "../a".into(), problem: "p" },
                "Could not unzip uploaded file. Please check your file, then try to upload again.",
            ),
            (PackageError::Empty, "Uploaded file must be a non-empty zip"),
            (PackageError::TooLarge, "Unzipped size must be smaller than 262144000 bytes"),
        ] {
            let expected =
                format!(r#"400 InvalidParameterValueException {{"Type":"User","message":"{message}"}}"#);
            assert_eq!(told(&ApiError::package(&error)), expected);
        }
    }
}
