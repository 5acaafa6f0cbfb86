//! The plugins in `tests/plugins`, built, and what can be made of them.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use hearth_core::foreign::RawDescriptor;
use tempfile::TempDir;

use crate::backends::build_with;

/// Offsets in a plugin's descriptor, which are frozen.
pub(super) const ABI_MAJOR: usize = 16;
pub(super) const PANIC_STRATEGY: usize = 24;

/// Where `cargo build` has put the corpus.
static BUILT: LazyLock<PathBuf> = LazyLock::new(build);

/// The library of a package of the corpus.
pub(crate) fn library(name: &str) -> PathBuf {
    BUILT.join(format!("libplugin_{}.so", name.replace('-', "_")))
}

/// The program of a package of the corpus.
pub(crate) fn program(name: &str) -> PathBuf {
    BUILT.join(name)
}

/// Builds the corpus beside Hearth itself, with the same versions of everything, so that little is left to build.
fn build() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder");
    // Several processes of one test run may come here at once; the first one builds.
    let mut built_for = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(target.join("tmp/plugins-built-for"))
        .expect("a lock file");
    built_for.lock().expect("the lock");
    let mut last_run = String::new();
    built_for.read_to_string(&mut last_run).expect("text");
    let this_run = test_run();
    if this_run.as_ref().is_none_or(|run| *run != last_run) {
        cargo_build(target);
        built_for.set_len(0).and_then(|()| built_for.rewind()).expect("it can be emptied");
        built_for.write_all(this_run.unwrap_or_default().as_bytes()).expect("it can be written");
    }
    target.join("debug")
}

/// What tells this run of `cargo nextest` from others; it gives every test a process of its own.
#[expect(
    clippy::disallowed_methods,
    reason = "nextest tells its processes in a variable which run they are of"
)]
fn test_run() -> Option<String> {
    std::env::var("NEXTEST_RUN_ID").ok()
}

fn cargo_build(target: &Path) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins");
    let cargo = || Command::new(env!("CARGO"));
    build_with(cargo().arg("build"), &corpus, target);
    build_with(cargo().arg("build"), &first(&corpus.join("first"), &target.join("tmp/first")), target);
}

/// The plugin of the first version of the interface, beside that version, unpacked.
fn first(source: &Path, folder: &Path) -> PathBuf {
    fs::create_dir_all(folder.join("src")).expect("a folder");
    for file in ["Cargo.toml", "src/lib.rs"] {
        fs::copy(source.join(file), folder.join(file)).expect("it can be copied");
    }
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(source.join("hearth-core-1.0.0.crate")).current_dir(folder);
    assert!(tar.status().expect("tar").success());
    folder.to_owned()
}

/// A folder for files that are made of the corpus.
pub(super) struct Workshop(TempDir);

impl Workshop {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with this content.
    pub(super) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("it can be written");
        path
    }

    /// A copy of the well-built plugin.
    pub(super) fn copy(&self, name: &str) -> PathBuf {
        self.file(name, &well_built())
    }

    /// A copy of the well-built plugin with one byte changed.
    pub(super) fn patched(&self, name: &str, offset: usize, byte: u8) -> PathBuf {
        let mut content = well_built();
        content[offset] = byte;
        self.file(name, &content)
    }

    /// The same, but `offset` counts from the beginning of the descriptor.
    pub(super) fn redescribed(&self, name: &str, offset: usize, byte: u8) -> PathBuf {
        self.patched(name, descriptor_at() + offset, byte)
    }

    /// The first `length` bytes of the well-built plugin.
    pub(super) fn truncated(&self, name: &str, length: u64) -> PathBuf {
        let path = self.copy(name);
        File::options().write(true).open(&path).and_then(|file| file.set_len(length)).expect("it can be cut");
        path
    }
}

fn well_built() -> Vec<u8> {
    fs::read(library("awkward")).expect("it was built")
}

fn descriptor_at() -> usize {
    let content = well_built();
    let hits = content.windows(RawDescriptor::MAGIC.len()).enumerate();
    let mut hits = hits.filter(|(at, bytes)| {
        *bytes == RawDescriptor::MAGIC && hearth_core::foreign::Descriptor::parse(&content[*at..]).is_some()
    });
    hits.next().expect("a descriptor").0
}
