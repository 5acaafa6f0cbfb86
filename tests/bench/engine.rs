//! As little of the Docker API as the floor of a cold start needs: one connection for each call.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use hearth_tests::{Explain, Problem, Result};
use serde_json::Value;

/// An engine at a Unix socket.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    socket: PathBuf,
}

impl Engine {
    pub(crate) fn at(socket: &str) -> Self {
        Self { socket: socket.into() }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.call("GET", path, "")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call("POST", path, &body.to_string())
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Value> {
        self.call("DELETE", path, "")
    }

    /// Answers the JSON document, or nothing if there is none.
    fn call(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let doing = format!("{method} {path}");
        let mut stream = UnixStream::connect(&self.socket).explain("no engine answers")?;
        let length = body.len();
        // In this version of HTTP the answer comes whole, and ends with the connection.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).explain(&doing)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).explain(&doing)?;
        let (head, body) = answer.split_once("\r\n\r\n").explain(&doing)?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if !matches!(status, "200" | "201" | "204") {
            return Err(Problem::new(format!("{doing}: {status} {body}")));
        }
        Ok(serde_json::from_str(body).unwrap_or_default())
    }
}
