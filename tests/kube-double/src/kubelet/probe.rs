//! Probes: what is asked of a container, how often, and what the answers add up to.

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::runtime::EXEC;

/// One probe of a running container.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    spec: Value,
    container: Value,
    address: Ipv4Addr,
    pid: u32,
}

impl Probe {
    /// The probe of this kind, if the container has one.
    pub(super) fn of(container: &Value, kind: &str, address: Ipv4Addr, pid: u32) -> Option<Self> {
        let spec = container.get(kind).filter(|it| it.is_object())?.clone();
        Some(Self { spec, container: container.clone(), address, pid })
    }

    fn seconds(&self, field: &str, otherwise: u64) -> Duration {
        Duration::from_secs(self.spec[field].as_u64().unwrap_or(otherwise))
    }

    fn threshold(&self, field: &str, otherwise: u64) -> u64 {
        self.spec[field].as_u64().unwrap_or(otherwise).max(1)
    }

    pub(super) async fn wait_initially(&self) {
        tokio::time::sleep(self.seconds("initialDelaySeconds", 0)).await;
    }

    /// Probes until it has passed or failed often enough in a row; `failed` hears of each failure.
    pub(super) async fn settle(&self, mut failed: impl FnMut(&str)) -> bool {
        let (mut passes, mut failures) = (0, 0);
        loop {
            match self.once().await {
                Ok(()) => (passes, failures) = (passes + 1, 0),
                Err(why) => {
                    failed(&why);
                    (passes, failures) = (0, failures + 1);
                }
            }
            if passes >= self.threshold("successThreshold", 1) {
                return true;
            }
            if failures >= self.threshold("failureThreshold", 3) {
                return false;
            }
            self.pause().await;
        }
    }

    pub(super) async fn pause(&self) {
        tokio::time::sleep(self.seconds("periodSeconds", 10).max(Duration::from_secs(1))).await;
    }

    async fn once(&self) -> Result<(), String> {
        let limit = self.seconds("timeoutSeconds", 1);
        let asking = async {
            if self.spec["httpGet"].is_object() {
                http_get(self.address, &self.spec["httpGet"], &self.container).await
            } else if self.spec["exec"].is_object() {
                exec(self.pid, &self.spec["exec"]["command"]).await
            } else {
                let port = port(&self.spec["tcpSocket"]["port"], &self.container);
                TcpStream::connect((self.address, port)).await.map(drop).map_err(|error| error.to_string())
            }
        };
        tokio::time::timeout(limit, asking).await.unwrap_or_else(|_| Err("probe timed out".to_owned()))
    }
}

/// A port by its number, or by the name that the container gives it.
fn port(port: &Value, container: &Value) -> u16 {
    let named = |name: &str| {
        let mut ports = container["ports"].as_array()?.iter();
        ports.find(|it| it["name"] == *name)?["containerPort"].as_u64()
    };
    let number = port.as_u64().or_else(|| named(port.as_str()?));
    number.and_then(|it| u16::try_from(it).ok()).unwrap_or(0)
}

async fn http_get(address: Ipv4Addr, get: &Value, container: &Value) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let port = port(&get["port"], container);
    let path = get["path"].as_str().unwrap_or("/");
    let mut stream = TcpStream::connect((address, port)).await.map_err(failed)?;
    let mut request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}:{port}\r\nUser-Agent: kube-probe/1.33\r\n");
    for header in get["httpHeaders"].as_array().into_iter().flatten() {
        let text = |field: &str| header[field].as_str().unwrap_or("");
        request.extend([text("name"), ": ", text("value"), "\r\n"]);
    }
    request += "Accept: */*\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(64).read_to_end(&mut answer).await.map_err(failed)?;
    let line = String::from_utf8_lossy(&answer);
    let code: u16 = line.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    if (200..400).contains(&code) {
        Ok(())
    } else {
        Err(format!("HTTP probe failed with statuscode: {code}"))
    }
}

/// Runs a command in the container with this first process.
pub(super) async fn exec(pid: u32, command: &Value) -> Result<(), String> {
    let line = command.as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut exec = Command::new("/proc/self/exe");
    exec.arg(EXEC).arg(pid.to_string()).args(line).kill_on_drop(true);
    let exec = exec.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = exec.output().await.map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stdout).into_owned()) }
}
