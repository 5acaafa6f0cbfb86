//! One file of lines, bounded by a former one that it replaces when it is full.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::TIME;

/// How large a file grows, in bytes, before it becomes the former one.
const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// How many batches of lines a reader may be behind.
const AHEAD: usize = 1024;

/// Which of a log's lines somebody wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those that are not older.
    pub since: Option<Timestamp>,
    /// The last ones of these, that many at most.
    pub tail: Option<usize>,
    /// Those that come as well.
    pub follow: bool,
}

/// A log that is read.
#[derive(Debug)]
pub struct Following {
    /// Whole lines.
    pub past: String,
    /// Batches of whole lines, none twice and none left out in between; nothing if they are not wanted.
    pub future: Option<broadcast::Receiver<Arc<str>>>,
    /// What is written to is kept in memory for as long as somebody reads it.
    _file: Arc<LogFile>,
}

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// Held while lines are written, or the past is read and the future begins.
    writing: Mutex<()>,
    grown: broadcast::Sender<Arc<str>>,
}

impl LogFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, writing: Mutex::default(), grown: broadcast::Sender::new(AHEAD) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds whole lines. Opened anew each time: there may be more functions than a process may have open files.
    pub(super) fn append(&self, lines: String) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let open = || OpenOptions::new().create(true).append(true).open(&self.path);
        let mut file = open()?;
        if file.metadata()?.len() + lines.len() as u64 > MAX_BYTES {
            fs::rename(&self.path, self.former())?;
            file = open()?;
        }
        file.write_all(lines.as_bytes())?;
        // Nobody may be reading.
        let _readers = self.grown.send(lines.into());
        Ok(())
    }

    pub(super) fn read(self: Arc<Self>, wanted: &Wanted) -> io::Result<Following> {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut past = content(&self.former())?;
        past.push_str(&content(&self.path)?);
        let future = wanted.follow.then(|| self.grown.subscribe());
        drop(writing);
        Ok(Following { past: select(past, wanted), future, _file: self })
    }

    fn former(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".1");
        name.into()
    }
}

fn content(path: &Path) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Times are written so that they sort as texts.
fn select(lines: String, wanted: &Wanted) -> String {
    if wanted.since.is_none() && wanted.tail.is_none() {
        return lines;
    }
    let since = wanted.since.map(|since| since.strftime(TIME).to_string()).unwrap_or_default();
    let kept: Vec<_> = lines.split_inclusive('\n').filter(|line| **line >= *since).collect();
    let skipped = kept.len().saturating_sub(wanted.tail.unwrap_or(usize::MAX));
    kept[skipped..].concat()
}

/// Removes what is older below a folder, and folders that are empty. What cannot be looked at stays.
pub(super) fn sweep(folder: &Path, age: Duration) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep(&path, age);
            // Fails where there is something in it.
            let _kept = fs::remove_dir(&path);
        } else if is_older(&path, age)
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "an old log cannot be removed");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the age of a file is told by the file system's clock")]
fn is_older(path: &Path, age: Duration) -> bool {
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| SystemTime::now().duration_since(changed).is_ok_and(|past| past > age))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (tempfile::TempDir, Arc<LogFile>) {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(LogFile::new(folder.path().join("a/b.log")));
        (folder, file)
    }

    fn past(file: &Arc<LogFile>, wanted: Wanted) -> String {
        Arc::clone(file).read(&wanted).unwrap().past
    }

    #[test]
    fn a_reader_gets_the_lines_that_it_asks_for() {
        let (_folder, file) = log();
        assert_eq!(past(&file, Wanted::default()), "");
        for second in 1..=3 {
            file.append(format!("2026-01-01T00:00:0{second}.000Z s line {second}\n")).unwrap();
        }
        let since = "2026-01-01T00:00:02Z".parse().ok();
        let last = "2026-01-01T00:00:03.000Z s line 3\n";
        assert_eq!(past(&file, Wanted::default()).lines().count(), 3);
        assert_eq!(past(&file, Wanted { since, ..Wanted::default() }).lines().count(), 2);
        assert_eq!(past(&file, Wanted { since, tail: Some(1), follow: false }), last);
        assert_eq!(past(&file, Wanted { tail: Some(9), ..Wanted::default() }).lines().count(), 3);
        assert_eq!(past(&file, Wanted { tail: Some(0), ..Wanted::default() }), "");
    }

    #[test]
    fn what_comes_follows_what_was_without_a_gap() {
        let (_folder, file) = log();
        file.append("one\n".to_owned()).unwrap();
        let reading = Arc::clone(&file).read(&Wanted { follow: true, ..Wanted::default() }).unwrap();
        file.append("two\n".to_owned()).unwrap();
        assert_eq!((&*reading.past, &*reading.future.unwrap().try_recv().unwrap()), ("one\n", "two\n"));
    }

    #[test]
    fn a_full_file_becomes_the_former_one_and_is_read_with_the_new_one() {
        let (folder, file) = log();
        let line = format!("{}\n", "x".repeat(1024 * 1024 - 1));
        for _ in 0..25 {
            file.append(line.clone()).unwrap();
        }
        let sizes =
            ["a/b.log.1", "a/b.log"].map(|name| fs::metadata(folder.path().join(name)).unwrap().len());
        assert_eq!(sizes, [10, 5].map(|count| count * line.len() as u64));
        assert_eq!(past(&file, Wanted::default()).len(), 15 * line.len());
    }

    #[test]
    fn what_nobody_wrote_to_for_long_goes() {
        let (folder, file) = log();
        file.append("one\n".to_owned()).unwrap();
        sweep(folder.path(), Duration::from_secs(60));
        assert!(file.path().exists());
        sweep(folder.path(), Duration::ZERO);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
