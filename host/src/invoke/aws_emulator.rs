//! What AWS's own emulator answers: it tells errors and timeouts from results by nothing but the body.
//!
//! Measured on `aws-lambda-rie` as it comes with aws-sam-cli 1.170. A function that returns what looks like the
//! description of an error is taken for one that failed; that cannot be told apart from outside.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};

use super::forward::{exited, timed_out};
use super::{Answered, FunctionError, Invocation};

/// What the runtime clients of AWS put into the description of an error, beside its type and its message.
const OF_ERRORS: [&str; 6] = ["errorType", "errorMessage", "requestId", "stackTrace", "trace", "cause"];

/// What came of an invocation that the emulator says it has run; nothing if it says that it has not.
pub(super) fn understand(status: StatusCode, payload: Bytes, invocation: &Invocation) -> Option<Answered> {
    match status {
        StatusCode::OK if is_timeout(&payload) => Some(timed_out(invocation)),
        StatusCode::OK => {
            let function_error = error_of(&payload).map(|_| FunctionError::Unhandled);
            Some(Answered { payload, function_error, log_result: None })
        }
        // The process ended, the init failed, or the response was too large.
        StatusCode::BAD_GATEWAY => Some(match error_of(&payload) {
            Some(error) => failed(error, invocation),
            None => exited(invocation, None),
        }),
        _ => None,
    }
}

/// `Task timed out after 3.00 seconds`: a bare text, while results are JSON.
fn is_timeout(payload: &[u8]) -> bool {
    let text = std::str::from_utf8(payload).unwrap_or_default();
    let seconds = text.strip_prefix("Task timed out after ").and_then(|rest| rest.strip_suffix(" seconds"));
    seconds.is_some_and(|seconds| seconds.parse::<f64>().is_ok())
}

fn error_of(payload: &[u8]) -> Option<Map<String, Value>> {
    // A result may be long, and an error is an object.
    if payload.first() != Some(&b'{') {
        return None;
    }
    let error: Map<String, Value> = serde_json::from_slice(payload).ok()?;
    let is_text = |name| error.get(name).is_some_and(Value::is_string);
    let is_error = is_text("errorType")
        && is_text("errorMessage")
        && error.keys().all(|key| OF_ERRORS.contains(&key.as_str()));
    is_error.then_some(error)
}

/// The emulator makes up request ids; the caller is told its own.
fn failed(mut error: Map<String, Value>, invocation: &Invocation) -> Answered {
    if let Some(Value::String(message)) = error.get_mut("errorMessage")
        && let Some((_, what)) =
            message.strip_prefix("RequestId: ").and_then(|rest| rest.split_once(" Error: "))
    {
        *message = format!("RequestId: {} Error: {what}", invocation.request_id);
    }
    let payload = Value::Object(error).to_string().into();
    Answered { payload, function_error: Some(FunctionError::Unhandled), log_result: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::tests::target;

    fn invocation(request_id: &str) -> Invocation {
        Invocation {
            target: target(0, "image"),
            arn: "arn".into(),
            request_id: request_id.to_owned(),
            payload: Bytes::new(),
            client_context: None,
            trace_id: None,
            log_tail: false,
            tenant_id: None,
        }
    }

    fn shown(status: u16, body: &'static str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        match understand(status, body.into(), &invocation("id-1")) {
            None => "not run".to_owned(),
            Some(Answered { payload, function_error, .. }) => {
                let how = if function_error.is_some() { "error" } else { "result" };
                format!("{how} {}", String::from_utf8_lossy(&payload))
            }
        }
    }

    #[test]
    fn errors_and_timeouts_are_told_from_results() {
        for (status, body, expected) in [
            (200, r#"{"a":1}"#, r#"result {"a":1}"#),
            (200, "", "result "),
            (200, r#"{"errorType":"E","data":1}"#, r#"result {"errorType":"E","data":1}"#),
            (
                200,
                r#"{"errorMessage":"m","errorType":"E","requestId":"x","stackTrace":[]}"#,
                r#"error {"errorMessage":"m","errorType":"E","requestId":"x","stackTrace":[]}"#,
            ),
            (
                200,
                "Task timed out after 2.00 seconds",
                r#"error {"errorMessage":"RequestId: id-1 Error: Task timed out after 3.00 seconds","errorType":"Sandbox.Timedout"}"#,
            ),
            (200, r#""Task timed out after 2.00 seconds""#, r#"result "Task timed out after 2.00 seconds""#),
            (
                502,
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: theirs Error: Runtime exited with error: exit status 3"}"#,
                r#"error {"errorMessage":"RequestId: id-1 Error: Runtime exited with error: exit status 3","errorType":"Runtime.ExitError"}"#,
            ),
            (
                502,
                "",
                r#"error {"errorMessage":"RequestId: id-1 Error: Runtime exited without providing a reason","errorType":"Runtime.ExitError"}"#,
            ),
            (400, r#"{"errorType":"Runtime.Unavailable"}"#, "not run"),
        ] {
            assert_eq!(shown(status, body), expected);
        }
    }
}
