//! Containers that are made straight through the engine's API, without Hearth.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hearth_tests::{Explain, Problem, Result, Stopwatch};
use serde_json::{Value, json};

use super::{EVENT, INVOKE, LIMIT};
use crate::engine::Engine;

/// The same container once more; `change` makes it another one.
pub(super) fn copy(model: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut body = model["Config"].clone();
    body["HostConfig"] = model["HostConfig"].clone();
    // Hearth removes what carries its labels and is not its own.
    body["Labels"] = json!({});
    change(&mut body);
    body
}

/// A container that was made straight through the API.
pub(super) struct Running<'a> {
    engine: &'a Engine,
    id: String,
    /// `HOST:PORT` of its emulator.
    pub(super) address: String,
}

impl<'a> Running<'a> {
    /// Makes a container and starts it.
    pub(super) fn start(engine: &'a Engine, body: &Value) -> Result<Self> {
        let created = engine.post("/containers/create", body)?;
        let id = created["Id"].as_str().explain("the engine made no container")?.to_owned();
        engine.post(&format!("/containers/{id}/start"), &json!({}))?;
        let container = engine.get(&format!("/containers/{id}/json"))?;
        let address = container["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].as_str();
        Ok(Self { engine, id, address: format!("{}:8080", address.explain("the container has no address")?) })
    }

    /// The first event, as soon as somebody takes it.
    pub(super) fn first_answer(&self, headers: &str) -> Result<()> {
        let connect = || TcpStream::connect(&self.address).ok();
        let waiting = Stopwatch::start();
        let mut stream = loop {
            if let Some(stream) = connect() {
                break stream;
            }
            if waiting.elapsed() > LIMIT {
                return Err(Problem::new("the container's emulator does not listen"));
            }
            hearth_tests::pause(Duration::from_millis(1));
        };
        stream.set_read_timeout(Some(LIMIT)).explain("cannot set a limit")?;
        let length = EVENT.len();
        let request = format!(
            "POST {INVOKE} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{EVENT}"
        );
        stream.write_all(request.as_bytes()).explain("cannot send the first event")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).explain("cannot read the first answer")?;
        let is_echo = answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(EVENT);
        if is_echo { Ok(()) } else { Err(Problem::new(format!("the first answer is no echo: {answer}"))) }
    }

    pub(super) fn remove(self) -> Result<()> {
        self.engine.delete(&format!("/containers/{}?force=1", self.id)).map(drop)
    }
}
