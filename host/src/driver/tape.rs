//! Writes down what the pool is told, so that a bug in the field can be replayed at a desk with
//! `hearth simulate --replay`.
//!
//! The driver notes each event under its lock, in the order in which the pool sees them; a thread writes them. That
//! thread looks by itself, every [`LOOK_EVERY`], and is never woken: a note costs no call of the system. A driver
//! that is faster than the disk does not wait for it. The recording ends there, since one with a gap shows nothing.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hearth_pool::{Config, Event, Timestamp};

use crate::simulate::recording::Recorder;

/// How often what was noted is written out.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Notes that may wait for the disk: a tenth of a second of a million a second, with room to spare.
const UNWRITTEN_AT_MOST: usize = 1 << 18;

/// A recording that is being made.
#[derive(Debug)]
pub(super) struct Tape {
    file: PathBuf,
    notes: SyncSender<(Timestamp, Event)>,
    writer: JoinHandle<()>,
}

impl Tape {
    /// Begins a recording of a pool that was told nothing yet. A recording that is in the file already, maybe of
    /// the very crash that is looked for, is kept beside it.
    pub(super) fn start(file: &Path, config: &Config) -> io::Result<Self> {
        keep_former(file)?;
        let recorder = Recorder::create(file, config)?;
        let (notes, noted) = sync_channel(UNWRITTEN_AT_MOST);
        let name = file.to_owned();
        let writer = thread::Builder::new()
            .name("recording".to_owned())
            .spawn(move || write(recorder, &noted, &name))?;
        Ok(Self { file: file.to_owned(), notes, writer })
    }

    /// Notes that the pool is told this event, at this time. Never waits; fails if the recording is at its end.
    pub(super) fn note(&self, now: Timestamp, event: Event) -> Result<(), TapeEnded> {
        self.notes.try_send((now, event)).map_err(|problem| {
            if let TrySendError::Full(_) = problem {
                tracing::error!(file = %self.file.display(), "the recording ends here: the disk is too slow for it");
            }
            TapeEnded
        })
    }

    /// Waits until everything is written.
    pub(super) fn finish(self) {
        let Self { file: _, notes, writer } = self;
        drop(notes);
        writer.thread().unpark();
        if writer.join().is_err() {
            tracing::error!("the thread that writes the recording has panicked");
        }
    }
}

/// Nothing is written any more. Why was told in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TapeEnded;

/// `FILE` becomes `FILE.1`, if it is a file.
fn keep_former(file: &Path) -> io::Result<()> {
    if !fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
        return Ok(());
    }
    let mut former = OsString::from(file);
    former.push(".1");
    tracing::info!(former = %Path::new(&former).display(), "the former recording is kept");
    fs::rename(file, former)
}

/// Writes what is noted until nothing can be noted any more.
fn write(mut recorder: Recorder, noted: &Receiver<(Timestamp, Event)>, file: &Path) {
    let is_whole = loop {
        match noted.try_recv() {
            Ok((now, event)) => recorder.record(now, &event),
            Err(TryRecvError::Disconnected) => break true,
            Err(TryRecvError::Empty) if recorder.flush() => thread::park_timeout(LOOK_EVERY),
            Err(TryRecvError::Empty) => break false,
        }
    };
    match recorder.finish() {
        Ok(()) if is_whole => tracing::info!(file = %file.display(), "recorded"),
        Ok(()) => {}
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "the recording ends here: it cannot be written");
        }
    }
}
