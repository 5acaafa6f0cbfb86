//! The program `rie`.

use std::io::{BufRead, BufReader, PipeReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};

use crate::support::{PREAMBLE, python};

const ECHO: &str = r#"
import os, sys
print("up", flush=True)
while True:
    id, event, headers = next_invocation()
    print("an error", file=sys.stderr, flush=True)
    respond(id, [event, headers["Lambda-Runtime-Invoked-Function-Arn"], os.environ["_HANDLER"], len(id)])
"#;

/// The program around a Python runtime, once that is up. It is killed in the end.
struct Rie {
    process: Child,
    address: SocketAddr,
    /// Both outputs, as one log.
    log: BufReader<PipeReader>,
}

impl Rie {
    fn start(environment: &[(&str, &str)]) -> Self {
        let (address, runtime_api) = (free_address(), free_address());
        let (log, writer) = std::io::pipe().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_rie"))
            .arg(format!("--runtime-interface-emulator-address={address}"))
            .args(["--runtime-api-address", &runtime_api.to_string()])
            .args([python().to_str().unwrap(), "-c", &format!("{PREAMBLE}{ECHO}"), "app.handler"])
            .envs(environment.iter().copied())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(log);
        assert!(log.by_ref().lines().any(|line| line.unwrap() == "up"));
        Self { process, address, log }
    }

    fn end(&mut self) -> Option<i32> {
        let id = i32::try_from(self.process.id()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM).unwrap();
        self.process.wait().unwrap().code()
    }

    fn post(&self, headers: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head =
            "POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        write!(stream, "{head}{headers}Content-Length: 2\r\n\r\n{{}}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Rie {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The runtime is told an address, so that it must be known before; it is free again at once.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn without_a_token_it_is_used_like_the_emulator_of_aws() {
    let rie = Rie::start(&[("AWS_LAMBDA_FUNCTION_NAME", "f")]);
    let answer = rie.post("");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let body = r#"[{}, "arn:aws:lambda:us-east-1:012345678912:function:f", "app.handler", 36]"#;
    assert!(answer.ends_with(body), "{answer}");
}

#[test]
fn with_a_token_it_is_an_instance_and_ends_when_it_is_asked_to() {
    let mut rie = Rie::start(&[("HEARTH_RIE_TOKEN", "secret")]);
    assert!(rie.post("").starts_with("HTTP/1.1 401 "));
    let admitted = rie.post("Authorization: Bearer secret\r\n");
    assert!(admitted.contains("Lambda-Runtime-Aws-Request-Id is missing"), "{admitted}");
    assert_eq!(rie.end(), Some(0));
}

#[test]
fn its_log_is_in_order_and_whole_when_it_ends() {
    let mut rie = Rie::start(&[]);
    (0..20).for_each(|_| drop(rie.post("")));
    assert_eq!(rie.end(), Some(0));
    let words = rie.log.by_ref().lines().map(|line| line.unwrap().split(' ').next().unwrap().to_owned());
    let words: Vec<_> = words.filter(|word| word != "INIT_START").collect();
    assert_eq!(words, ["START", "an", "END", "REPORT"].repeat(20));
}

#[test]
fn an_address_that_is_taken_is_said_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_rie"))
        .args(["--runtime-interface-emulator-address", &address, "/bootstrap"])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with(&format!("rie: cannot listen on {address} or 127.0.0.1:9001: ")), "{error}");
    assert_eq!((error.lines().count(), output.status.code()), (1, Some(1)));
}
