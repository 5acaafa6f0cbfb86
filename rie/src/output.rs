//! What the process writes: two pipes, cut into lines.

use std::io::{self, PipeWriter};
use std::sync::{Arc, Mutex, PoisonError};

use nix::unistd::read;
use tokio::net::unix::pipe::Receiver;

use crate::log::{Logs, Origin};

/// Standard output and error of one process.
pub(crate) struct Output {
    logs: Arc<Logs>,
    streams: [Stream; 2],
}

struct Stream {
    origin: Origin,
    pipe: Receiver,
    /// What came after the last newline. Holding it is the right to read.
    unfinished: Mutex<Vec<u8>>,
}

/// The ends that the process writes to.
pub(crate) struct Writers {
    pub(crate) stdout: PipeWriter,
    pub(crate) stderr: PipeWriter,
}

impl Output {
    /// Must be called on a runtime. [`pump`](Self::pump) must run for the lines to flow.
    pub(crate) fn open(logs: Arc<Logs>, [stdout, stderr]: [Origin; 2]) -> io::Result<(Self, Writers)> {
        let (stdout, stdout_writer) = Stream::open(stdout)?;
        let (stderr, stderr_writer) = Stream::open(stderr)?;
        Ok((
            Self { logs, streams: [stdout, stderr] },
            Writers { stdout: stdout_writer, stderr: stderr_writer },
        ))
    }

    /// Passes lines on as they come, until the process and all its heirs have closed the pipes.
    pub(crate) async fn pump(self: Arc<Self>) {
        let [stdout, stderr] = &self.streams;
        tokio::join!(stdout.pump(&self.logs), stderr.pump(&self.logs));
    }

    /// Passes on at once whatever was written before this call, the beginning of a line included: the end of
    /// an invocation must not overtake its last line.
    pub(crate) fn drain(&self) {
        for stream in &self.streams {
            stream.read_available(&self.logs, Unfinished::PassOn, |chunk| {
                // The runtime may not have noticed yet that there is something to read.
                read(&stream.pipe, chunk).map_err(io::Error::from)
            });
        }
    }
}

/// What becomes of text without a newline.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unfinished {
    Keep,
    PassOn,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Available {
    NotYet,
    End,
}

impl Stream {
    /// CloudWatch's limit of one event.
    const LONGEST_LINE: usize = 256 * 1024;

    fn open(origin: Origin) -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let pipe = Receiver::from_owned_fd(reader.into())?;
        Ok((Self { origin, pipe, unfinished: Mutex::default() }, writer))
    }

    async fn pump(&self, logs: &Logs) {
        while let Ok(()) = self.pipe.readable().await {
            if self.read_available(logs, Unfinished::Keep, |chunk| self.pipe.try_read(chunk))
                == Available::End
            {
                break;
            }
        }
    }

    fn read_available(
        &self,
        logs: &Logs,
        unfinished: Unfinished,
        mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> Available {
        let mut text = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chunk = [0; 8192];
        let end = loop {
            match read(&mut chunk) {
                Ok(0) => break Available::End,
                Ok(length) => self.cut(logs, &mut text, &chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Available::NotYet,
                Err(_) => break Available::End,
            }
        };
        if (end == Available::End || unfinished == Unfinished::PassOn) && !text.is_empty() {
            self.pass_on(logs, &text);
            text.clear();
        }
        end
    }

    fn cut(&self, logs: &Logs, unfinished: &mut Vec<u8>, chunk: &[u8]) {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            match piece.split_last() {
                Some((b'\n', line)) if unfinished.is_empty() => self.pass_on(logs, line),
                Some((b'\n', line)) => {
                    unfinished.extend_from_slice(line);
                    self.pass_on(logs, unfinished);
                    unfinished.clear();
                }
                _ => unfinished.extend_from_slice(piece),
            }
            if unfinished.len() >= Self::LONGEST_LINE {
                self.pass_on(logs, unfinished);
                unfinished.clear();
            }
        }
    }

    fn pass_on(&self, logs: &Logs, line: &[u8]) {
        logs.written(self.origin, &String::from_utf8_lossy(line));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::config::LogFormat;
    use crate::log::{Line, Observer};

    const BOTH: [Origin; 2] = [Origin::Stdout, Origin::Stderr];

    #[derive(Default)]
    struct Seen(Mutex<Vec<(Origin, String)>>);

    impl Observer for Arc<Seen> {
        fn line(&self, line: Line<'_>) {
            self.0.lock().unwrap().push((line.origin, line.text.to_owned()));
        }
    }

    #[tokio::test]
    async fn draining_passes_on_whole_lines_and_the_beginning_of_one() {
        let seen = Arc::new(Seen::default());
        let (output, mut writers) =
            Output::open(Arc::new(Logs::new(Arc::new(seen.clone()), LogFormat::Text)), BOTH).unwrap();
        writers.stdout.write_all(b"one\n\ntwo\nth").unwrap();
        writers.stderr.write_all(b"bad \xff byte\n").unwrap();
        output.drain();
        writers.stdout.write_all(b"ree\n").unwrap();
        output.drain();
        let lines = std::mem::take(&mut *seen.0.lock().unwrap());
        let texts: Vec<_> = lines.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["one", "", "two", "th", "bad \u{fffd} byte", "ree"]);
        assert_eq!(lines[4].0, Origin::Stderr);
    }

    #[tokio::test]
    async fn a_pump_ends_with_the_writers_and_passes_on_the_last_line() {
        let seen = Arc::new(Seen::default());
        let (output, mut writers) =
            Output::open(Arc::new(Logs::new(Arc::new(seen.clone()), LogFormat::Text)), BOTH).unwrap();
        writers.stdout.write_all(b"a\nlast").unwrap();
        drop(writers);
        Arc::new(output).pump().await;
        let texts: Vec<_> = seen.0.lock().unwrap().iter().map(|(_, text)| text.clone()).collect();
        assert_eq!(texts, ["a", "last"]);
    }
}
