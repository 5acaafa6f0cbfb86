//! What functions write: kept in a file for each function and log group, and sent to CloudWatch Logs where that is.
//!
//! ```text
//! <data_dir>/logs/<account>/<region>/<function>/<log group>.log      what came last
//! <data_dir>/logs/<account>/<region>/<function>/<log group>.log.1    what came before
//! ```
//!
//! A file outlives its function, as a log group does on AWS, and goes when nothing was written to it for days.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use hearth_core::{Backend, CallContext, LogLine};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_util::task::TaskTracker;

use self::file::LogFile;
use crate::catalog::digest::Digest;
use crate::catalog::function::FunctionKey;

pub use self::cloud_watch::CloudWatch;
pub use self::file::{Following, Wanted};

mod cloud_watch;
mod file;

/// Most lines that are written at once.
const BATCH: usize = 1024;
/// What is encoded in names of files: whatever could lead elsewhere.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// Longest name of a file that file systems take, less what comes behind it.
const LONGEST_NAME: usize = 200;
/// How a moment is written at the beginning of a line.
const TIME: &str = "%Y-%m-%dT%H:%M:%S.%3fZ";

/// A log group of a function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The function, which may be gone.
    pub function: FunctionKey,
    /// As in `/aws/lambda/hello`.
    pub group: Arc<str>,
}

/// An instance whose log is to be kept.
#[derive(Clone, Debug)]
pub struct Source {
    /// The backend's name for it.
    pub handle: String,
    /// Where its lines go.
    pub place: Place,
    /// Its log stream: `2026/11/27/[$LATEST]<instance>`.
    pub stream: Arc<str>,
}

/// Keeps the logs of functions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FunctionLogs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    /// Those that somebody writes or reads.
    files: Mutex<HashMap<Place, Weak<LogFile>>>,
    cloud_watch: Option<CloudWatch>,
    followers: TaskTracker,
}

impl FunctionLogs {
    /// Keeps them in `folder`, which is made when there is something to write.
    pub fn new(folder: PathBuf, cloud_watch: Option<CloudWatch>) -> Self {
        let followers = TaskTracker::new();
        Self { shared: Arc::new(Shared { folder, files: Mutex::default(), cloud_watch, followers }) }
    }

    /// Begins to keep an instance's log, from its first line to its last.
    pub fn follow(&self, backend: Arc<dyn Backend>, source: Source) {
        self.shared.followers.spawn(self.clone().keep(backend, source));
    }

    /// What is there of a function's log, and what comes if that is wanted. Nothing if there has never been any: then
    /// there is nothing to wait for, unless the function exists and may write yet.
    pub async fn read(
        &self,
        place: &Place,
        wanted: Wanted,
        may_come: bool,
    ) -> std::io::Result<Option<Following>> {
        let path = self.path(place);
        if !may_come && !path.exists() {
            return Ok(None);
        }
        let file = self.file(place);
        let reading = tokio::task::spawn_blocking(move || file.read(&wanted)).await;
        reading.map_err(std::io::Error::other)?.map(Some)
    }

    /// Removes files that nothing was written to for `age`, and folders that are empty then.
    pub fn sweep(&self, age: Duration) {
        file::sweep(&self.shared.folder, age);
    }

    /// Waits for the last lines of instances that have ended.
    pub async fn close(&self, limit: Duration) {
        self.shared.followers.close();
        let done = async {
            self.shared.followers.wait().await;
            if let Some(cloud_watch) = &self.shared.cloud_watch {
                cloud_watch.flush().await;
            }
        };
        if tokio::time::timeout(limit, done).await.is_err() {
            tracing::warn!(?limit, "the last lines of functions' logs were not written in time");
        }
    }

    async fn keep(self, backend: Arc<dyn Backend>, source: Source) {
        let context = CallContext::default();
        let lines = match backend.logs(&context, &source.handle, 0).await {
            Ok(lines) => lines,
            Err(error) => {
                tracing::debug!(handle = source.handle, %error, "an instance's log cannot be followed");
                return;
            }
        };
        let file = self.file(&source.place);
        let mut batches = lines.ready_chunks(BATCH);
        while let Some(lines) = batches.next().await {
            let text = render(&lines, &source.stream);
            let writing = Arc::clone(&file);
            let written = tokio::task::spawn_blocking(move || writing.append(text)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(path = %file.path().display(), %error, "a function's log cannot be written");
            }
            if let Some(cloud_watch) = &self.shared.cloud_watch {
                cloud_watch.send(&source, lines);
            }
        }
        if let Some(cloud_watch) = &self.shared.cloud_watch {
            cloud_watch.end(&source);
        }
    }

    fn file(&self, place: &Place) -> Arc<LogFile> {
        let mut files = self.shared.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(place).and_then(Weak::upgrade) {
            return file;
        }
        files.retain(|_, file| file.strong_count() > 0);
        let file = Arc::new(LogFile::new(self.path(place)));
        files.insert(place.clone(), Arc::downgrade(&file));
        file
    }

    fn path(&self, place: &Place) -> PathBuf {
        let FunctionKey { account, region, name } = &place.function;
        let mut path = self.shared.folder.clone();
        path.extend([account, region, name].map(|part| utf8_percent_encode(part, NAME).to_string()));
        path.join(file_name(&place.group))
    }
}

/// A name that is read easily for groups with a short one, and unique for all.
fn file_name(group: &str) -> String {
    let encoded = utf8_percent_encode(group, NAME).to_string();
    match encoded.get(..LONGEST_NAME) {
        Some(beginning) => format!("{beginning}-{}.log", &Digest::of(group.as_bytes()).to_string()[..16]),
        None => format!("{encoded}.log"),
    }
}

/// Each line with its time and its log stream in front, as `aws logs tail` shows them.
fn render(lines: &[LogLine], stream: &str) -> String {
    let mut text = String::with_capacity(lines.iter().map(|line| line.line.len() + stream.len() + 32).sum());
    for line in lines {
        let at = i64::try_from(line.unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let at = at.unwrap_or_default().strftime(TIME).to_string();
        for part in [&at, " ", stream, " ", &line.line, "\n"] {
            text.push_str(part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use hearth_core::LogStreamKind;

    use super::*;

    #[test]
    fn lines_are_written_as_aws_shows_them() {
        let line =
            |unix_ms, line: &str| LogLine { stream: LogStreamKind::STDOUT, unix_ms, line: line.to_owned() };
        assert_eq!(
            render(&[line(1_500, "one"), line(1_764_226_800_001, "two  three")], "2026/11/27/[$LATEST]ab"),
            "1970-01-01T00:00:01.500Z 2026/11/27/[$LATEST]ab one\n2025-11-27T07:00:00.001Z 2026/11/27/[$LATEST]ab two  \
             three\n"
        );
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let logs = FunctionLogs::new("/logs".into(), None);
        let place = Place { function: FunctionKey::new("..", "", "../../etc"), group: "..".into() };
        assert_eq!(logs.path(&place), PathBuf::from("/logs/%2E%2E/%2E%2E%2F%2E%2E%2Fetc/%2E%2E.log"));
    }

    #[test]
    fn each_group_has_a_file_of_its_own() {
        assert_eq!(file_name("/aws/lambda/hello"), "%2Faws%2Flambda%2Fhello.log");
        assert_ne!(file_name("/a"), file_name("_a"));
        let long = "a".repeat(512);
        assert_ne!(file_name(&long), file_name(&format!("{long}b")));
        assert!(file_name(&long).len() < 255 - ".1".len());
    }
}
