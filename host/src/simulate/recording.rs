//! Recordings of what a pool was told: one JSON line for its configuration, then one for each event.
//!
//! A pool is deterministic. Told the same events at the same times, it asks for the same effects: what went wrong in
//! the field can be looked at at a desk, as often as need be.

mod wire;

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use hearth_pool::{Config, ConfigError, Effect, Event, InstanceId, Pool, Timestamp};
use serde::{Deserialize, Serialize};

use self::wire::{EventLine, Header};

/// Writes a recording. The host's driver tells it every event, just before it tells the pool.
pub struct Recorder {
    output: BufWriter<Box<dyn Write + Send>>,
    /// The first line that could not be written; none is written after it.
    outcome: io::Result<()>,
}

/// A recording, read back.
#[derive(Debug)]
pub struct Recording {
    /// How the pool was configured.
    pub config: Config,
    file: String,
    lines: Vec<EventLine>,
    /// Whether the last line was cut off, as happens when a host is killed; it is left out.
    pub is_cut_off: bool,
}

/// Why a recording cannot be read or replayed: file, line, what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingError(String);

impl Recorder {
    /// Begins a recording of a pool with this configuration in a new file; one that is there is overwritten.
    pub fn create(path: &Path, config: &Config) -> io::Result<Self> {
        Self::new(Box::new(File::create(path)?), config)
    }

    /// Begins a recording of a pool with this configuration.
    pub fn new(output: Box<dyn Write + Send>, config: &Config) -> io::Result<Self> {
        let mut output = BufWriter::with_capacity(64 * 1024, output);
        write_line(&mut output, &Header::of(config))?;
        Ok(Self { output, outcome: Ok(()) })
    }

    /// Records that the pool is told this event, at this time. Costs a few hundred nanoseconds, and now and then
    /// the writing of 64 KiB. If the output fails, recording stops, and [`finish`](Self::finish) says why.
    pub fn record(&mut self, now: Timestamp, event: &Event) {
        if self.outcome.is_ok() {
            self.outcome = write_line(&mut self.output, &EventLine::of(now, event));
        }
    }

    /// Writes what is buffered so far. Answers whether recording goes on; [`finish`](Self::finish) says why not.
    pub fn flush(&mut self) -> bool {
        if self.outcome.is_ok() {
            self.outcome = self.output.flush();
        }
        self.outcome.is_ok()
    }

    /// Writes what is still buffered; the host calls it when it stops. Says what went wrong since the beginning.
    pub fn finish(self) -> io::Result<()> {
        let Self { mut output, outcome } = self;
        outcome.and_then(|()| output.flush())
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl Recording {
    /// Reads a whole recording.
    pub fn read(path: &Path) -> Result<Self, RecordingError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| RecordingError(format!("{file}: cannot read: {error}")))?;
        Self::parse(file, &text)
    }

    /// Events that were recorded.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nothing was recorded but the configuration.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Tells a new pool everything again. `observe` is told each effect that the pool asks for, and when.
    pub fn replay(&self, mut observe: impl FnMut(Timestamp, &Effect)) -> Result<(), RecordingError> {
        let refused = |error: ConfigError| self.problem(1, &error);
        let mut pool = Pool::new(self.config.clone()).map_err(refused)?;
        // A recording writes instances by name. The pool gives the same names again, one launch after the other.
        let mut instances: HashMap<String, InstanceId> = HashMap::new();
        for (line, recorded) in (2..).zip(&self.lines) {
            let (now, event) = recorded.event(|name| instances.get(name).copied()).map_err(|name| {
                self.problem(
                    line,
                    &format!("the pool has launched no {name}: another version wrote this recording"),
                )
            })?;
            pool.handle(now, event);
            while let Some(effect) = pool.next_effect() {
                if let Effect::Launch { instance, .. } = effect {
                    instances.insert(instance.to_string(), instance);
                }
                observe(now, &effect);
            }
        }
        Ok(())
    }

    fn parse(file: String, text: &str) -> Result<Self, RecordingError> {
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut lines = whole.lines();
        let header: Header = parse_line(&file, 1, lines.next().unwrap_or(""))?;
        let config = header.config().map_err(|error| RecordingError(format!("{file}, line 1: {error}")))?;
        let lines = (2..).zip(lines).map(|(number, line)| parse_line(&file, number, line));
        let lines = lines.collect::<Result<_, _>>()?;
        Ok(Self { config, lines, is_cut_off: whole.len() < text.len(), file })
    }

    fn problem(&self, line: usize, error: &dyn fmt::Display) -> RecordingError {
        RecordingError(format!("{}, line {line}: {error}", self.file))
    }
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RecordingError {}

fn parse_line<'a, T: Deserialize<'a>>(file: &str, number: usize, line: &'a str) -> Result<T, RecordingError> {
    serde_json::from_str(line).map_err(|error| {
        let (column, whole) = (error.column(), error.to_string());
        // It counts lines too, but was shown only this one.
        let problem = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(problem, _)| problem);
        RecordingError(format!("{file}, line {number}, column {column}: no line of a recording: {problem}"))
    })
}

fn write_line(output: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, line)?;
    output.write_all(b"\n")
}

#[cfg(test)]
mod tests;
