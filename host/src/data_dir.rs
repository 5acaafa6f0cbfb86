//! The folder in which an installation keeps its functions, and its claim to it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A data directory that this process alone uses. The claim ends with the process, however it ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    owner: String,
    /// Locked for as long as it is open.
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another host is at work in it.
    #[error(
        "the data directory {0} is in use by another hearth; stop that one, or choose another with --data-dir"
    )]
    InUse(PathBuf),
    /// It cannot be made or written.
    #[error("cannot use the data directory {path}: {error}; choose another with --data-dir")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

impl DataDir {
    /// Makes the folder if need be and claims it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |error| DataDirError::Io { path: path.to_owned(), error };
        fs::create_dir_all(path).map_err(failed)?;
        // Backends run where they like and write into their folder below: they need it without links or `..`.
        let path = fs::canonicalize(path).map_err(failed)?;
        let lock = File::create(path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse(path)),
            Err(TryLockError::Error(error)) => return Err(DataDirError::Io { path, error }),
        }
        let owner = owner(&path).map_err(|error| DataDirError::Io { path: path.clone(), error })?;
        Ok(Self { path, owner, _lock: lock })
    }

    /// Where it is, absolute and without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names the installation, for ever: what backends label everything with.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The folder of one backend, made if need be.
    pub fn backend_dir(&self, backend: &str) -> Result<PathBuf, DataDirError> {
        let path = self.path.join("backends").join(backend);
        fs::create_dir_all(&path).map_err(|error| DataDirError::Io { path: path.clone(), error })?;
        Ok(path)
    }
}

/// The installation's name, made at the first start.
fn owner(data_dir: &Path) -> io::Result<String> {
    let path = data_dir.join("owner");
    match fs::read_to_string(&path) {
        Ok(owner) if !owner.trim().is_empty() => Ok(owner.trim().to_owned()),
        Ok(_) => write_owner(data_dir, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_owner(data_dir, &path),
        Err(error) => Err(error),
    }
}

/// Written beside and renamed, so that a crash leaves the whole name or none.
fn write_owner(data_dir: &Path, path: &Path) -> io::Result<String> {
    let owner = Uuid::new_v4().simple().to_string();
    let draft = data_dir.join("owner.new");
    fs::write(&draft, &owner)?;
    File::open(&draft)?.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_stays_and_a_second_host_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(folder.path()).unwrap();
        let owner = first.owner().to_owned();
        let refusal = DataDir::open(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("is in use by another hearth"), "{refusal}");
        drop(first);
        assert_eq!(DataDir::open(folder.path()).unwrap().owner(), owner);
    }
}
