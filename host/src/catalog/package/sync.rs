//! Sees to it that unpacked code reaches the disk, and remembers that it has.

use std::fs::{self, File};
use std::io;
use std::path::Path;

const MARK: &str = "synced";

/// Whether the folder's `root/` was synced.
pub(super) fn is_synced(folder: &Path) -> bool {
    folder.join(MARK).exists()
}

/// Syncs the folder's `root/`, and says so with a file beside it. A folder that goes away meanwhile is no error.
pub(super) fn sync_root(folder: &Path) {
    let synced = sync_tree(&folder.join("root")).and_then(|()| {
        File::create(folder.join(MARK))?.sync_all()?;
        sync_folder(folder)
    });
    match synced {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "code is not synced; the next start unpacks it again");
        }
    }
}

/// Syncs which names a folder has.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_folder(folder)
}
