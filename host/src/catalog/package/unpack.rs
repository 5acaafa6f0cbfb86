//! Unpacks a zip file from strangers: every entry is checked as it is written, and the writing stops where the
//! limit is.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{Cursor, Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use super::links::leads_outside;
use super::{MAX_UNPACKED_BYTES, PackageError, disk};

/// Longest target that a symbolic link may have, as in Linux.
const MAX_LINK_BYTES: u64 = 4096;

/// Unpacks into `root`, an empty folder; answers how many bytes that are. After an error `root` is in some state
/// between empty and full: the caller removes it.
pub(super) fn unpack(zip: &Bytes, root: &Path) -> Result<u64, PackageError> {
    unpack_up_to(MAX_UNPACKED_BYTES, zip, root)
}

fn unpack_up_to(limit: u64, zip: &Bytes, root: &Path) -> Result<u64, PackageError> {
    let mut archive = ZipArchive::new(Cursor::new(&zip[..])).map_err(unreadable)?;
    if archive.is_empty() {
        return Err(PackageError::Empty);
    }
    if archive.has_duplicate_names() {
        return Err(PackageError::Unreadable("two entries have the same name".to_owned()));
    }
    let mut unpacking = Unpacking { root, limit, written: 0, links: BTreeMap::new() };
    for index in 0..archive.len() {
        unpacking.take(archive.by_index(index).map_err(unreadable)?)?;
    }
    unpacking.make_links()?;
    Ok(unpacking.written)
}

struct Unpacking<'a> {
    root: &'a Path,
    limit: u64,
    written: u64,
    /// Made last, so that nothing is ever written through one.
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Unpacking<'_> {
    fn take<R: Read>(&mut self, mut entry: ZipFile<'_, R>) -> Result<(), PackageError> {
        let name = entry.name().map_err(unreadable)?.into_owned();
        let path = safe_path(&name)?;
        let mode = entry.unix_mode();
        if entry.is_dir() {
            self.make_folder(&name, &path, mode)
        } else if entry.is_symlink() {
            let target = read_link(&name, &mut entry)?;
            self.links.insert(path, target);
            Ok(())
        } else {
            self.make_file(&name, &path, mode, &mut entry)
        }
    }

    /// Folders are at least readable by all, and writable by the host, which has to remove them one day.
    fn make_folder(&self, name: &str, path: &Path, mode: Option<u32>) -> Result<(), PackageError> {
        let path = self.root.join(path);
        fs::create_dir_all(&path).map_err(|error| misplaced(name, &path, error))?;
        let mode = mode.unwrap_or(0) & 0o777 | 0o755;
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(disk(&path))
    }

    /// Files are at least readable by all: the function may run as somebody else.
    fn make_file(
        &mut self,
        name: &str,
        path: &Path,
        mode: Option<u32>,
        content: &mut impl Read,
    ) -> Result<(), PackageError> {
        let path = self.root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| misplaced(name, &path, error))?;
        }
        let mode = mode.unwrap_or(0) & 0o777 | 0o644;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .map_err(|error| misplaced(name, &path, error))?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = content.read(&mut buffer).map_err(|error| unreadable(error.into()))?;
            if count == 0 {
                return Ok(());
            }
            self.written += count as u64;
            if self.written > self.limit {
                return Err(PackageError::TooLarge);
            }
            file.write_all(&buffer[..count]).map_err(disk(&path))?;
        }
    }

    fn make_links(&self) -> Result<(), PackageError> {
        for (link, target) in &self.links {
            let name = || link.display().to_string();
            if leads_outside(link, &self.links) {
                return Err(PackageError::Unsafe { name: name(), problem: "is a link that leads outside" });
            }
            let path = self.root.join(link);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|error| misplaced(&name(), &path, error))?;
            }
            std::os::unix::fs::symlink(target, &path).map_err(|error| misplaced(&name(), &path, error))?;
        }
        Ok(())
    }
}

/// The entry's place below the root, if that is where its name points.
fn safe_path(name: &str) -> Result<PathBuf, PackageError> {
    let refuse = |problem| Err(PackageError::Unsafe { name: name.to_owned(), problem });
    if name.contains(['\\', '\0']) {
        return refuse("has a character in its name that no path may have");
    }
    if name.as_bytes().get(1) == Some(&b':') && name.as_bytes()[0].is_ascii_alphabetic() {
        return refuse("begins with a drive letter");
    }
    let mut path = PathBuf::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return refuse("goes up with `..`"),
            Component::RootDir | Component::Prefix(_) => return refuse("has an absolute name"),
        }
    }
    Ok(path)
}

fn read_link(name: &str, entry: &mut impl Read) -> Result<PathBuf, PackageError> {
    let mut target = String::new();
    entry.take(MAX_LINK_BYTES + 1).read_to_string(&mut target).map_err(|error| unreadable(error.into()))?;
    if target.is_empty() || target.len() as u64 > MAX_LINK_BYTES || target.contains('\0') {
        let problem = "is a link to something that is no path";
        return Err(PackageError::Unsafe { name: name.to_owned(), problem });
    }
    Ok(target.into())
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in map_err")]
fn unreadable(error: ZipError) -> PackageError {
    PackageError::Unreadable(error.to_string())
}

/// Tells an entry that stands in another's place from a disk that failed.
fn misplaced(name: &str, path: &Path, error: std::io::Error) -> PackageError {
    use std::io::ErrorKind::{AlreadyExists, InvalidFilename, IsADirectory, NotADirectory};
    let unsafe_entry = |problem| PackageError::Unsafe { name: name.to_owned(), problem };
    match error.kind() {
        AlreadyExists | NotADirectory | IsADirectory => unsafe_entry("stands where another entry is"),
        InvalidFilename => unsafe_entry("has a name that is too long"),
        _ => disk(path)(error),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    /// A zip file of these entries; a name that ends with a slash is a folder.
    pub(crate) fn zip_of(entries: &[(&str, &[u8])]) -> Bytes {
        write(|zip| {
            for (name, content) in entries {
                zip.start_file(*name, SimpleFileOptions::default()).unwrap();
                zip.write_all(content).unwrap();
            }
        })
    }

    fn write(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Bytes {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        fill(&mut zip);
        zip.finish().unwrap().into_inner().into()
    }

    fn unpacked(zip: &Bytes) -> (tempfile::TempDir, Result<u64, PackageError>) {
        let root = tempfile::tempdir().unwrap();
        let result = unpack(zip, root.path());
        (root, result)
    }

    fn problem(zip: &Bytes) -> String {
        unpacked(zip).1.unwrap_err().to_string()
    }

    #[test]
    fn names_that_point_elsewhere_are_refused() {
        for (name, problem_text) in [
            ("../evil", "goes up with `..`"),
            ("a/../../evil", "goes up with `..`"),
            ("/etc/passwd", "has an absolute name"),
            ("a\\b", "has a character in its name that no path may have"),
            ("C:/evil", "begins with a drive letter"),
        ] {
            let text = problem(&zip_of(&[(name, b"x")]));
            assert_eq!(text, format!("the zip file's entry `{name}` {problem_text}"));
        }
    }

    #[test]
    fn entries_that_want_the_same_place_are_refused() {
        assert_eq!(
            problem(&zip_of(&[("a", b"1"), ("./a", b"2")])),
            "the zip file's entry `./a` stands where another entry is"
        );
        assert_eq!(
            problem(&zip_of(&[("a", b"1"), ("a/b", b"2")])),
            "the zip file's entry `a/b` stands where another entry is"
        );
    }

    #[test]
    fn modes_are_kept_and_everything_is_readable() {
        let zip = write(|zip| {
            let mode = |mode| SimpleFileOptions::default().unix_permissions(mode);
            zip.start_file("bootstrap", mode(0o700)).unwrap();
            zip.start_file("secret", mode(0o600)).unwrap();
            zip.add_directory("lib", mode(0o700)).unwrap();
        });
        let (root, result) = unpacked(&zip);
        result.unwrap();
        for (name, expected) in [("bootstrap", 0o744), ("secret", 0o644), ("lib", 0o755)] {
            let mode = fs::metadata(root.path().join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, expected, "{name}");
        }
    }

    #[test]
    fn a_link_may_stay_inside_and_may_not_lead_outside() {
        let link = |target: &str| {
            write(|zip| {
                zip.add_symlink("lib/link", target, SimpleFileOptions::default()).unwrap();
                zip.start_file("file", SimpleFileOptions::default()).unwrap();
                zip.write_all(b"content").unwrap();
            })
        };
        let (root, result) = unpacked(&link("../file"));
        result.unwrap();
        assert_eq!(fs::read(root.path().join("lib/link")).unwrap(), b"content");
        for target in ["../../file", "/etc/passwd"] {
            assert_eq!(
                problem(&link(target)),
                "the zip file's entry `lib/link` is a link that leads outside"
            );
        }
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let zip = write(|zip| {
            zip.add_symlink("dir", "other", SimpleFileOptions::default()).unwrap();
            zip.start_file("dir/file", SimpleFileOptions::default()).unwrap();
        });
        assert_eq!(problem(&zip), "the zip file's entry `dir` stands where another entry is");
    }

    #[test]
    fn writing_stops_at_the_limit_whatever_the_headers_say() {
        let bomb = zip_of(&[("zeros", &vec![0; 10_000_000])]);
        assert!(bomb.len() < 20_000);
        let root = tempfile::tempdir().unwrap();
        let result = unpack_up_to(1_000_000, &bomb, root.path());
        assert!(matches!(result, Err(PackageError::TooLarge)));
        assert!(fs::metadata(root.path().join("zeros")).unwrap().len() <= 1_000_000);
    }

    #[test]
    fn what_is_no_zip_or_a_broken_one_is_unreadable() {
        let good = zip_of(&[("a", b"hello hello hello hello")]);
        let mut flipped = good.to_vec();
        flipped[35] ^= 0xff;
        for bytes in [Vec::new(), b"no zip".to_vec(), good[..good.len() / 2].to_vec(), flipped] {
            let error = unpacked(&bytes.into()).1.unwrap_err();
            assert!(matches!(error, PackageError::Unreadable(_)), "{error}");
        }
    }

    #[test]
    fn an_empty_zip_is_told_apart() {
        assert!(matches!(unpacked(&zip_of(&[])).1, Err(PackageError::Empty)));
    }
}
