//! A lean load generator: one thread, any number of kept-alive connections, one request after the other on each.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::Duration;

use hearth_tests::{Explain, Problem, Result, Stopwatch};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Nothing that is measured here may take so long.
const PATIENCE_MS: u16 = 10_000;

/// One connection, and the request that is sent over it again and again.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// Head and body, ready to be sent.
    pub(crate) request: Vec<u8>,
}

impl Lane {
    /// A lane that posts a body.
    pub(crate) fn post(address: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let headers =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>().concat();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        Self { address: address.to_owned(), request: request.into_bytes() }
    }
}

/// What a run measured.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// How long each request took, the shortest first.
    latencies: Vec<Duration>,
    /// How long all of it took.
    took: Duration,
}

impl Measured {
    /// Requests in a second.
    pub(crate) fn requests_per_second(&self) -> f64 {
        f64::from(u32::try_from(self.latencies.len()).unwrap_or(u32::MAX)) / self.took.as_secs_f64()
    }

    /// The latency that this percentage of the requests did not exceed, in milliseconds.
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (self.latencies.len() * percent / 100).min(last);
        self.latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// Keeps all lanes busy for this long.
pub(crate) fn run(lanes: &[Lane], duration: Duration) -> Result<Measured> {
    let mut connections = lanes.iter().map(Connection::open).collect::<Result<Vec<_>>>()?;
    let whole = Stopwatch::start();
    for connection in &mut connections {
        connection.send()?;
    }
    let mut latencies = Vec::new();
    while whole.elapsed() < duration {
        for index in ready(&connections)? {
            let connection = &mut connections[index];
            if let Some(latency) = connection.receive()? {
                latencies.push(latency);
                connection.send()?;
            }
        }
    }
    let took = whole.elapsed();
    // What is still under way is answered before the next run begins.
    for connection in &mut connections {
        connection.finish()?;
    }
    latencies.sort_unstable();
    Ok(Measured { latencies, took })
}

/// Waits until some connections have something to read. Which these are.
fn ready(connections: &[Connection<'_>]) -> Result<Vec<usize>> {
    let mut waiting: Vec<_> = connections
        .iter()
        .map(|connection| PollFd::new(connection.stream.as_fd(), PollFlags::POLLIN))
        .collect();
    match poll(&mut waiting, PollTimeout::from(PATIENCE_MS)).explain("cannot wait for answers")? {
        0 => Err(Problem::new(format!("no answer within {PATIENCE_MS} ms"))),
        _ => Ok((0..waiting.len()).filter(|&index| waiting[index].any().unwrap_or(true)).collect()),
    }
}

struct Connection<'a> {
    lane: &'a Lane,
    stream: TcpStream,
    sent: Stopwatch,
    received: Vec<u8>,
}

impl<'a> Connection<'a> {
    fn open(lane: &'a Lane) -> Result<Self> {
        let address = &lane.address;
        let stream = TcpStream::connect(address).explain(format_args!("cannot connect to {address}"))?;
        stream.set_nodelay(true).explain("cannot set TCP_NODELAY")?;
        stream.set_nonblocking(true).explain("cannot set a socket to non-blocking")?;
        Ok(Self { lane, stream, sent: Stopwatch::start(), received: Vec::with_capacity(4096) })
    }

    /// Requests are small: a socket that has been read empty takes one as a whole.
    fn send(&mut self) -> Result<()> {
        self.sent = Stopwatch::start();
        self.stream.write_all(&self.lane.request).explain("cannot send a request")
    }

    /// Reads what is there. The latency, once the answer is complete.
    fn receive(&mut self) -> Result<Option<Duration>> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(Problem::new(format!("{} closed the connection", self.lane.address))),
            Ok(length) => self.received.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(Problem::new(format!("cannot read an answer: {error}"))),
        }
        if !is_complete(&self.received)? {
            return Ok(None);
        }
        let latency = self.sent.elapsed();
        self.received.clear();
        Ok(Some(latency))
    }

    fn finish(&mut self) -> Result<()> {
        self.stream.set_nonblocking(false).explain("cannot set a socket to blocking")?;
        self.stream
            .set_read_timeout(Some(Duration::from_millis(PATIENCE_MS.into())))
            .explain("cannot set a timeout")?;
        while self.receive()?.is_none() {}
        Ok(())
    }
}

/// Whether this is a whole answer. One that is not a 200, or does not tell its length, is a problem.
fn is_complete(answer: &[u8]) -> Result<bool> {
    let Some(head_length) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = String::from_utf8_lossy(&answer[..head_length]);
    let unexpected = || format!("unexpected answer: {}", String::from_utf8_lossy(answer));
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(Problem::new(unexpected()));
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse::<usize>().ok() } else { None }
    });
    Ok(answer.len() >= head_length + 4 + length.explain(unexpected())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_its_body_is() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        for length in 0..whole.len() {
            assert_eq!(is_complete(&whole[..length]), Ok(false), "{length}");
        }
        assert_eq!(is_complete(whole), Ok(true));
        assert!(is_complete(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n").is_err());
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_latencies() {
        let latencies = (1..=100).map(Duration::from_millis).collect();
        let measured = Measured { latencies, took: Duration::from_secs(2) };
        let figures = [50, 90, 99].map(|percent| format!("{:.1}", measured.percentile_ms(percent)));
        assert_eq!(figures, ["51.0", "91.0", "100.0"]);
        assert_eq!(format!("{:.1}", measured.requests_per_second()), "50.0");
    }
}
