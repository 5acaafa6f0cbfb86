//! Engines on other machines that are reached through SSH.
//!
//! As the docker CLI does it: `ssh HOST docker system dial-stdio` is a connection to the engine over there, by the
//! user's own ssh with all of its settings, keys and known hosts. bollard's way, a master process for each connection,
//! leaves that process behind when the host is killed; this one ends with its input.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::ANSWER_LIMIT_SECONDS;

/// Nobody is there to answer questions, and a machine that is gone is noticed.
const OPTIONS: [&str; 3] = ["BatchMode=yes", "ConnectTimeout=30", "ServerAliveInterval=15"];

/// How long it takes at most, from when a connection breaks until ssh has said why.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(2);

/// A client of the engine at `ssh://[user@]host[:port]`.
pub(super) fn client(url: &str) -> Result<Docker, Error> {
    let connector = Connector::default();
    let newest = connector.newest.clone();
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let transport = move |request: BollardRequest| {
        let (answer, newest) = (client.request(request), newest.clone());
        async move {
            match answer.await {
                Ok(answer) => Ok(answer),
                Err(error) => Err(last_words(&newest).await.map_or_else(|| error.into(), Error::from)),
            }
        }
    };
    Docker::connect_with_custom_transport(transport, Some(url), ANSWER_LIMIT_SECONDS, API_DEFAULT_VERSION)
}

/// What the newest ssh said when it ended, if it has ended.
async fn last_words(newest: &Newest) -> Option<io::Error> {
    let ssh = newest.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let words = tokio::time::timeout(LAST_WORDS_LIMIT, ssh).await.ok()?.ok()?;
    let line = words.lines().rfind(|line| !line.trim().is_empty())?;
    Some(io::Error::other(format!("ssh: {}", line.trim())))
}

/// The process of the newest connection, which ends with what it wrote to standard error.
type Newest = Arc<Mutex<Option<JoinHandle<String>>>>;

#[derive(Clone, Debug, Default)]
struct Connector {
    newest: Newest,
}

impl Connector {
    fn connect(&self, engine: &Uri) -> io::Result<TokioIo<UnixStream>> {
        // One socket for both directions: when this side is dropped, ssh's input ends, and ssh with it.
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let ssh = command(engine, theirs)?.spawn().map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("ssh, by which the engine is reached, cannot be started: {error}"),
            )
        })?;
        let newest = tokio::spawn(until_its_end(ssh));
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(newest);
        Ok(TokioIo::new(UnixStream::from_std(ours)?))
    }
}

fn command(engine: &Uri, stream: std::os::unix::net::UnixStream) -> io::Result<Command> {
    let authority = engine.authority().map_or("", |authority| authority.as_str());
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    let mut command = Command::new("ssh");
    command.arg("-T").args(OPTIONS.iter().flat_map(|option| ["-o", option]));
    command.args(user.iter().flat_map(|user| ["-l", user]));
    command.args(engine.port().iter().flat_map(|port| ["-p", port.as_str()]));
    let host = engine.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    command.args(["--", host, "docker", "system", "dial-stdio"]);
    let input = std::os::fd::OwnedFd::from(stream.try_clone()?);
    command.stdin(input).stdout(std::os::fd::OwnedFd::from(stream)).stderr(Stdio::piped()).kill_on_drop(true);
    // What is typed to end the host must not end the connections by which it cleans up.
    command.process_group(0);
    Ok(command)
}

async fn until_its_end(mut ssh: Child) -> String {
    let mut words = Vec::new();
    if let Some(mut stderr) = ssh.stderr.take() {
        // Whatever cannot be read has not been said.
        drop(stderr.read_to_end(&mut words).await);
    }
    drop(ssh.wait().await);
    String::from_utf8_lossy(&words).into_owned()
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, engine: Uri) -> Self::Future {
        Box::pin(std::future::ready(self.connect(&engine)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_ssh_is_asked_as_the_docker_cli_asks_it() {
        let options = "-T -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15";
        for (url, expected) in [
            ("ssh://lab/v1.41/info", "-- lab docker system dial-stdio"),
            ("ssh://me@lab:2222/info", "-l me -p 2222 -- lab docker system dial-stdio"),
            ("ssh://[fd00::1]:22/", "-p 22 -- fd00::1 docker system dial-stdio"),
        ] {
            let (_, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            let command = command(&url.parse().unwrap(), theirs).unwrap();
            let words: Vec<_> = command.as_std().get_args().map(|word| word.to_string_lossy()).collect();
            assert_eq!(words.join(" "), format!("{options} {expected}"));
        }
    }
}
