//! Folders as a tar, which is always the same for the same content and which anybody may read.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::Stream;
use tar::{Builder, HeaderMode};
use tokio::sync::mpsc;

/// How much is sent at once.
const PIECE: usize = 1 << 18;

/// Something on this machine, and where it is to be in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// A folder, with all that is in it, or a file.
    pub source: PathBuf,
    /// Its name in the archive; `.` puts the content of a folder at the top.
    pub name: PathBuf,
}

impl Part {
    /// The content of a folder, at the top of the archive.
    pub fn content(folder: impl Into<PathBuf>) -> Self {
        Self { source: folder.into(), name: ".".into() }
    }

    /// A folder or a file under another name.
    pub fn named(name: &str, source: impl Into<PathBuf>) -> Self {
        Self { source: source.into(), name: name.into() }
    }
}

/// Writes the archive. Entries are sorted, and their owners and times forgotten.
pub fn write(parts: &[Part], to: impl Write) -> io::Result<()> {
    let mut tar = Builder::new(BufWriter::with_capacity(PIECE, to));
    tar.follow_symlinks(false);
    tar.mode(HeaderMode::Deterministic);
    for part in parts {
        append(&mut tar, &part.source, &part.name)?;
    }
    tar.into_inner()?.flush()
}

/// The archive, made while it is sent. An error ends it.
pub fn stream(parts: Vec<Part>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write(&parts, Pipe(sender.clone())) {
            // If nobody listens any more, nobody wants to know.
            drop(sender.blocking_send(Err(error)));
        }
    });
    futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)))
}

fn append(tar: &mut Builder<impl Write>, source: &Path, name: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(source)?.is_dir() {
        return tar.append_path_with_name(source, name);
    }
    tar.append_dir(name, source)?;
    let entries = fs::read_dir(source)?.map(|entry| entry.map(|entry| entry.file_name()));
    let mut names = entries.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    // What is in the folder at the top has no folder in its name.
    let folder = name.strip_prefix(".").unwrap_or(name);
    names.iter().try_for_each(|entry| append(tar, &source.join(entry), &folder.join(entry)))
}

/// Writes into a channel.
struct Pipe(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    fn entries(archive: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap();
        let shown = entries.map(|entry| {
            let header = entry.unwrap().header().clone();
            let (path, link) = (header.path().unwrap(), header.link_name().unwrap());
            format!("{} {:o} {:?} {}", path.display(), header.mode().unwrap(), link, header.size().unwrap())
        });
        shown.collect()
    }

    #[tokio::test]
    async fn an_archive_has_all_that_is_in_the_folder_and_everybody_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/file"), vec![7; 1_000_000]).unwrap();
        std::os::unix::fs::symlink("sub/file", folder.path().join("link")).unwrap();
        let pieces: Vec<Bytes> = stream(vec![Part::content(folder.path())]).try_collect().await.unwrap();
        let expected =
            [". 755 None 0", "link 755 Some(\"sub/file\") 0", "sub 755 None 0", "sub/file 644 None 1000000"];
        assert_eq!(entries(&pieces.concat()), expected);
    }

    #[test]
    fn the_same_content_is_the_same_archive_whoever_made_it_and_when() {
        let make = |order: [&str; 3]| {
            let folder = tempfile::tempdir().unwrap();
            for name in order {
                fs::write(folder.path().join(name), name).unwrap();
            }
            let file = folder.path().join("b");
            let parts = [Part::named("task", folder.path()), Part::named("bin/b", file)];
            let mut archive = Vec::new();
            write(&parts, &mut archive).unwrap();
            archive
        };
        let archive = make(["a", "b", "c"]);
        let expected = ["task", "task/a", "task/b", "task/c", "bin/b"];
        let names: Vec<_> =
            entries(&archive).iter().map(|entry| entry.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(names, expected);
        assert!(archive == make(["c", "b", "a"]));
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_read_ends_the_stream_with_an_error() {
        let parts = vec![Part::content("/there/is/no/such/folder")];
        let sent: io::Result<Vec<Bytes>> = stream(parts).try_collect().await;
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
