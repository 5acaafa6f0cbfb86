//! A small client of the Lambda API and of the admin API: unsigned requests, answers as they are on the wire.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{Request, Response};

use crate::{Explain, Problem, Result, wait_until};

/// Longer than any function of ours may run.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);
/// Above AWS's limit for a response, so that it is the host that refuses.
const BODY_LIMIT: u64 = 64 << 20;

/// Talks to one host. Connections are kept alive and used again.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    agent: Agent,
}

/// What a request was answered with.
#[derive(Debug)]
pub struct Answer {
    head: Response<()>,
    /// The body, whatever it is.
    pub body: Vec<u8>,
}

/// What a new function is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewFunction<'a> {
    /// Its name.
    pub name: &'a str,
    /// `python3.13`, ….
    pub runtime: &'a str,
    /// `module.function`.
    pub handler: &'a str,
    /// The deployment package.
    pub zip: &'a [u8],
    /// Limit of one invocation.
    pub timeout_seconds: u32,
}

impl Client {
    /// A client of the host at `HOST:PORT`.
    pub fn new(address: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(ANSWER_LIMIT))
            .build();
        Self { base: format!("http://{address}"), agent: config.into() }
    }

    /// Sends a request as it is given and answers what came back, errors of AWS's included.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let doing = || format!("{method} {}{path}", self.base);
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).explain(doing())?;
        let (head, mut body) = self.agent.run(request).explain(doing())?.into_parts();
        let body = body.with_config().limit(BODY_LIMIT).read_to_vec().explain(doing())?;
        Ok(Answer { head: Response::from_parts(head, ()), body })
    }

    /// Gets a JSON document.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.send("GET", path, &[], b"")?.ok()?.json()
    }

    /// Creates a function and waits until it can be invoked.
    pub fn create(&self, function: NewFunction<'_>) -> Result<()> {
        let body = json!({
            "FunctionName": function.name,
            "Runtime": function.runtime,
            "Handler": function.handler,
            "Timeout": function.timeout_seconds,
            "Role": "arn:aws:iam::000000000000:role/any",
            "Code": { "ZipFile": BASE64.encode(function.zip) },
        });
        self.send("POST", "/2015-03-31/functions", &[], body.to_string().as_bytes())?.ok()?;
        self.wait_until_active(function.name)
    }

    /// Waits until a function can be invoked.
    pub fn wait_until_active(&self, name: &str) -> Result<()> {
        let path = format!("/2015-03-31/functions/{name}/configuration");
        wait_until("the function to become Active", ANSWER_LIMIT, || match self.get(&path) {
            Ok(configuration) => match configuration["State"].as_str() {
                Some("Active") => Some(Ok(())),
                Some("Pending") => None,
                _ => Some(Err(Problem::new(format!("the function cannot be invoked: {configuration}")))),
            },
            Err(problem) => Some(Err(problem)),
        })?
    }

    /// Invokes a function, waits for its answer and asks for the end of its log.
    pub fn invoke(&self, name: &str, event: &[u8]) -> Result<Answer> {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        self.send("POST", &path, &[("X-Amz-Log-Type", "Tail")], event)
    }

    /// Every instance of the host.
    pub fn instances(&self) -> Result<Vec<Value>> {
        let answer = self.get("/_hearth/instances")?;
        answer["instances"].as_array().cloned().explain(format_args!("no instances in {answer}"))
    }
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    /// A header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name)?.to_str().ok()
    }

    /// Itself, if the request was granted.
    pub fn ok(self) -> Result<Self> {
        if self.head.status().is_success() {
            return Ok(self);
        }
        let kind = self.header("x-amzn-ErrorType").unwrap_or_default();
        Err(Problem::new(format!("{} {kind}: {}", self.head.status(), self.text())))
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).explain(format_args!("not JSON: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The end of the log, if it was asked for.
    pub fn log_tail(&self) -> Option<String> {
        let decoded = BASE64.decode(self.header("X-Amz-Log-Result")?).ok()?;
        Some(String::from_utf8_lossy(&decoded).into_owned())
    }
}
