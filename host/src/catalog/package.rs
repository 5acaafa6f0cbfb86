//! The code store: zip files of functions and layers, packed and unpacked, named by their digest.
//!
//! ```text
//! <data_dir>/code/<sha256>/code.zip     as uploaded
//! <data_dir>/code/<sha256>/root/        the same, unpacked
//! <data_dir>/code/<sha256>/synced       says that root/ has reached the disk
//! <data_dir>/code/.<anything>           work in progress, or rubbish; removed at the next start
//! ```
//!
//! A folder is made under a hidden name and renamed when it is complete: what has a digest for a name is whole.
//! It stays while the catalog refers to it or an instance runs it, and goes with the last of them.
//!
//! The zip file is synced before anybody is told of it. Its unpacked half may be thousands of files, whose
//! syncing takes seconds: that is done behind, and what was not synced when the host ended is unpacked again.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};

use bytes::Bytes;
use hearth_core::Artifact;
use uuid::Uuid;

use super::function::PackageRef;

pub use super::digest::Digest;

mod links;
mod sync;
mod unpack;

/// What a function and its layers may measure unpacked, in bytes.
pub const MAX_UNPACKED_BYTES: u64 = 262_144_000;

/// Why a zip file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// It cannot be read as a zip file, or not with the methods known here.
    #[error("not a readable zip file: {0}")]
    Unreadable(String),
    /// An entry would end up outside the folder, or in the place of another.
    #[error("the zip file's entry `{name}` {problem}")]
    Unsafe {
        /// The entry, as named in the file.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It has no entries.
    #[error("the zip file is empty")]
    Empty,
    /// Its content exceeds [`MAX_UNPACKED_BYTES`].
    #[error("the zip file unpacks to more than {MAX_UNPACKED_BYTES} bytes")]
    TooLarge,
    /// The host's own disk failed.
    #[error("cannot keep code in {path}: {source}")]
    Disk {
        /// What was to be written or read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// All packages on disk. Cheap to clone. Its methods touch the disk: call them where blocking is allowed.
#[derive(Clone, Debug)]
pub struct PackageStore {
    shared: Arc<Shared>,
}

/// One package, held: it stays on disk for as long as this lives. Dropping the last hold removes a package that
/// the catalog does not refer to.
#[derive(Debug)]
pub struct Package {
    reference: PackageRef,
    folder: PathBuf,
    /// Whether the catalog refers to it.
    kept: AtomicBool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    held: Mutex<HashMap<Digest, Weak<Package>>>,
    /// Folders whose unpacked half is to be synced.
    unsynced: mpsc::Sender<PathBuf>,
}

impl PackageStore {
    /// Opens the store in `folder`, which it makes if it is missing.
    pub fn open(folder: &Path) -> Result<Self, PackageError> {
        fs::create_dir_all(folder).map_err(disk(folder))?;
        let (unsynced, to_sync) = mpsc::channel::<PathBuf>();
        let sync = move || to_sync.iter().for_each(|folder| sync::sync_root(&folder));
        std::thread::Builder::new().name("code-sync".to_owned()).spawn(sync).map_err(disk(folder))?;
        let shared = Shared { folder: folder.to_owned(), held: Mutex::default(), unsynced };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Checks and unpacks a zip file, unless the same is there already.
    pub fn add(&self, zip: &Bytes) -> Result<Arc<Package>, PackageError> {
        let sha256 = Digest::of(zip);
        if let Some(package) = self.shared.find(sha256) {
            return Ok(package);
        }
        let incoming = self.shared.folder.join(format!(".incoming-{}", Uuid::new_v4()));
        let made = make_folder(&incoming, zip).and_then(|unpacked_size| {
            let size = zip.len() as u64;
            self.shared.take_in(&incoming, PackageRef { sha256, size, unpacked_size })
        });
        let _not_there_if_it_was_taken_in = fs::remove_dir_all(&incoming);
        made
    }

    /// Holds a package that the catalog refers to, after a restart. If its unpacked half may not be whole, it is
    /// unpacked again.
    pub fn reopen(&self, reference: PackageRef) -> Result<Arc<Package>, PackageError> {
        if let Some(package) = self.shared.find(reference.sha256) {
            return Ok(package);
        }
        let folder = self.shared.folder_of(reference.sha256);
        let zip_path = folder.join("code.zip");
        let found = fs::metadata(&zip_path).map_err(disk(&zip_path))?.len();
        if found != reference.size {
            let source = io::Error::other(format!("{found} bytes long instead of {}", reference.size));
            return Err(PackageError::Disk { path: zip_path, source });
        }
        if !sync::is_synced(&folder) {
            restore_root(&folder, reference)?;
            self.shared.sync_later(&folder);
        }
        Ok(self.shared.hold(&mut self.shared.held(), reference))
    }

    /// A package that is held by somebody.
    pub fn find(&self, sha256: Digest) -> Option<Arc<Package>> {
        self.shared.find(sha256)
    }

    /// Removes every folder that nobody holds: what a killed host left half done, and what was deleted while
    /// it was not running. Call it after everything that the catalog refers to was reopened.
    pub fn sweep(&self) -> Result<usize, PackageError> {
        let folder = &self.shared.folder;
        let held: HashSet<String> = self.shared.held().keys().map(Digest::to_string).collect();
        let mut removed = 0;
        for entry in fs::read_dir(folder).map_err(disk(folder))? {
            let path = entry.map_err(disk(folder))?.path();
            let is_held =
                path.file_name().and_then(|name| name.to_str()).is_some_and(|name| held.contains(name));
            if !is_held {
                // Out of sight first: whoever still syncs it finds it gone, and puts nothing more into it.
                let rubbish = folder.join(format!(".rubbish-{}", Uuid::new_v4()));
                fs::rename(&path, &rubbish).map_err(disk(&path))?;
                fs::remove_dir_all(&rubbish)
                    .or_else(|_| fs::remove_file(&rubbish))
                    .map_err(disk(&rubbish))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl Package {
    /// Digest and sizes.
    pub fn reference(&self) -> PackageRef {
        self.reference
    }

    /// The zip file.
    pub fn zip_path(&self) -> PathBuf {
        self.folder.join("code.zip")
    }

    /// Says whether the catalog refers to the package. One that it does not refer to goes with its last hold.
    pub fn keep(&self, kept: bool) {
        self.kept.store(kept, Ordering::Release);
    }

    /// The package as a backend is told of it.
    pub fn artifact(&self) -> Artifact {
        Artifact {
            sha256: self.reference.sha256.to_string(),
            size: self.reference.size,
            zip_path: self.zip_path().to_string_lossy().into_owned(),
            dir_path: self.folder.join("root").to_string_lossy().into_owned(),
        }
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Acquire) {
            self.shared.discard(self.reference.sha256, &self.folder);
        }
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, HashMap<Digest, Weak<Package>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder_of(&self, sha256: Digest) -> PathBuf {
        self.folder.join(sha256.to_string())
    }

    fn find(&self, sha256: Digest) -> Option<Arc<Package>> {
        self.held().get(&sha256)?.upgrade()
    }

    /// Gives a complete folder its final name. If somebody was faster with the same code, theirs is used.
    fn take_in(
        self: &Arc<Self>,
        incoming: &Path,
        reference: PackageRef,
    ) -> Result<Arc<Package>, PackageError> {
        let folder = self.folder_of(reference.sha256);
        let mut held = self.held();
        if let Some(package) = held.get(&reference.sha256).and_then(Weak::upgrade) {
            return Ok(package);
        }
        // A folder that nobody holds is about to be discarded, or was left by a former run.
        if folder.exists() {
            self.throw_away(&folder);
        }
        fs::rename(incoming, &folder).map_err(disk(&folder))?;
        sync::sync_folder(&self.folder).map_err(disk(&self.folder))?;
        self.sync_later(&folder);
        Ok(self.hold(&mut held, reference))
    }

    fn hold(
        self: &Arc<Self>,
        held: &mut HashMap<Digest, Weak<Package>>,
        reference: PackageRef,
    ) -> Arc<Package> {
        let package = Arc::new(Package {
            reference,
            folder: self.folder_of(reference.sha256),
            kept: AtomicBool::new(false),
            shared: Arc::clone(self),
        });
        held.insert(reference.sha256, Arc::downgrade(&package));
        package
    }

    fn sync_later(&self, folder: &Path) {
        let _next_start_unpacks_it_if_this_fails = self.unsynced.send(folder.to_owned());
    }

    /// Removes the folder of a package that nobody holds any more, unless somebody holds it again by now.
    fn discard(&self, sha256: Digest, folder: &Path) {
        let mut held = self.held();
        if held.get(&sha256).is_some_and(|package| package.strong_count() == 0) {
            held.remove(&sha256);
            self.throw_away(folder);
        }
    }

    /// Takes a folder out of sight at once; deleting what is in it may take long, and has a thread of its own.
    fn throw_away(&self, folder: &Path) {
        let rubbish = self.folder.join(format!(".rubbish-{}", Uuid::new_v4()));
        if let Err(error) = fs::rename(folder, &rubbish) {
            tracing::warn!(folder = %folder.display(), %error, "cannot remove code that is not used any more");
            return;
        }
        let remove = move || fs::remove_dir_all(&rubbish);
        if let Err(error) = std::thread::Builder::new().name("code-removal".to_owned()).spawn(remove) {
            tracing::warn!(%error, "code that is not used any more stays until the next start");
        }
    }
}

/// Writes the zip file and its content into a new folder, and syncs the file; answers the size of the content.
fn make_folder(folder: &Path, zip: &Bytes) -> Result<u64, PackageError> {
    let root = folder.join("root");
    fs::create_dir_all(&root).map_err(disk(&root))?;
    let unpacked_size = unpack::unpack(zip, &root)?;
    let zip_path = folder.join("code.zip");
    let mut file = fs::File::create_new(&zip_path).map_err(disk(&zip_path))?;
    file.write_all(zip).map_err(disk(&zip_path))?;
    file.sync_all().map_err(disk(&zip_path))?;
    sync::sync_folder(folder).map_err(disk(folder))?;
    Ok(unpacked_size)
}

/// Unpacks a folder's zip file again. The zip file itself is not touched: it is all there is of the code.
fn restore_root(folder: &Path, reference: PackageRef) -> Result<(), PackageError> {
    let (zip_path, root) = (folder.join("code.zip"), folder.join("root"));
    let zip = Bytes::from(fs::read(&zip_path).map_err(disk(&zip_path))?);
    if Digest::of(&zip) != reference.sha256 {
        return Err(disk(&zip_path)(io::Error::other("it is not what was uploaded")));
    }
    if root.exists() {
        fs::remove_dir_all(&root).map_err(disk(&root))?;
    }
    fs::create_dir(&root).map_err(disk(&root))?;
    unpack::unpack(&zip, &root).map(drop)
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> PackageError {
    let path = path.to_owned();
    move |source| PackageError::Disk { path, source }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    pub(crate) use unpack::tests::zip_of;

    fn store() -> (tempfile::TempDir, PackageStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = PackageStore::open(&folder.path().join("code")).unwrap();
        (folder, store)
    }

    /// Names in the store that are not hidden.
    fn visible(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path().join("code")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect()
    }

    #[test]
    fn the_same_code_is_unpacked_once() {
        let (folder, store) = store();
        let zip = zip_of(&[("a.py", b"x = 1")]);
        let (first, second) = (store.add(&zip).unwrap(), store.add(&zip).unwrap());
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(visible(&folder), [Digest::of(&zip).to_string()]);
        assert_eq!(
            fs::read(folder.path().join("code").join(Digest::of(&zip).to_string()).join("root/a.py"))
                .unwrap(),
            b"x = 1"
        );
        assert_eq!(first.reference().unpacked_size, 5);
    }

    #[test]
    fn code_that_the_catalog_does_not_refer_to_goes_with_its_last_hold() {
        let (folder, store) = store();
        let package = store.add(&zip_of(&[("a", b"")])).unwrap();
        let instance = Arc::clone(&package);
        package.keep(true);
        drop(package);
        instance.keep(false);
        assert_eq!(visible(&folder).len(), 1);
        drop(instance);
        assert_eq!(visible(&folder).len(), 0);
    }

    #[test]
    fn code_that_the_catalog_refers_to_outlives_the_host() {
        let (folder, store) = store();
        let package = store.add(&zip_of(&[("a", b"1")])).unwrap();
        let reference = package.reference();
        package.keep(true);
        drop((package, store));
        let store = PackageStore::open(&folder.path().join("code")).unwrap();
        let package = store.reopen(reference).unwrap();
        assert_eq!(store.sweep().unwrap(), 0);
        assert_eq!(package.reference(), reference);
    }

    #[test]
    fn a_sweep_removes_what_nobody_holds_and_nothing_else() {
        let (folder, store) = store();
        let kept = store.add(&zip_of(&[("a", b"1")])).unwrap();
        let forgotten = store.add(&zip_of(&[("a", b"2")])).unwrap();
        forgotten.keep(true);
        drop(forgotten);
        fs::create_dir_all(folder.path().join("code/.incoming-1/root")).unwrap();
        store.shared.held().retain(|_, package| package.strong_count() > 0);
        assert_eq!(store.sweep().unwrap(), 2);
        assert_eq!(visible(&folder), [kept.reference().sha256.to_string()]);
    }

    #[test]
    fn what_had_not_reached_the_disk_is_unpacked_again() {
        let (folder, store) = store();
        let zip = zip_of(&[("a", b"1")]);
        let sha256 = Digest::of(&zip);
        let made = folder.path().join("code").join(sha256.to_string());
        let reference =
            PackageRef { sha256, size: zip.len() as u64, unpacked_size: make_folder(&made, &zip).unwrap() };
        fs::write(made.join("root/a"), "").unwrap();
        store.reopen(reference).unwrap().keep(true);
        assert_eq!(fs::read(made.join("root/a")).unwrap(), b"1");
        fs::write(made.join("code.zip"), &zip[1..]).unwrap();
        assert!(matches!(store.reopen(reference), Err(PackageError::Disk { .. })));
    }

    #[test]
    fn what_has_reached_the_disk_is_trusted() {
        let (folder, store) = store();
        let zip = zip_of(&[("a", b"1")]);
        let sha256 = Digest::of(&zip);
        let made = folder.path().join("code").join(sha256.to_string());
        let reference =
            PackageRef { sha256, size: zip.len() as u64, unpacked_size: make_folder(&made, &zip).unwrap() };
        sync::sync_root(&made);
        fs::write(made.join("root/a"), "2").unwrap();
        store.reopen(reference).unwrap().keep(true);
        assert_eq!(fs::read(made.join("root/a")).unwrap(), b"2");
    }

    #[test]
    fn what_was_refused_leaves_nothing_behind() {
        let (folder, store) = store();
        assert!(matches!(store.add(&Bytes::from_static(b"no zip")), Err(PackageError::Unreadable(_))));
        assert!(matches!(store.add(&zip_of(&[("../a", b"")])), Err(PackageError::Unsafe { .. })));
        assert_eq!(fs::read_dir(folder.path().join("code")).unwrap().count(), 0);
    }
}
