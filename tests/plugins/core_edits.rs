// Included by build scripts: a copy of hearth-core's source with a few edits.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A file, what stands in it once, and what comes in front of that.
type Edit = (&'static str, &'static str, &'static str);

fn copy_with(edits: &[Edit]) {
    let source = Path::new("../../../core");
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("src");
    copy(&source.join("src"), &target);
    for (file, anchor, addition) in edits {
        let path = target.join(file);
        let text = fs::read_to_string(&path).expect("it was copied");
        assert_eq!(text.matches(anchor).count(), 1, "{file} has changed: `{anchor}` should be in it once");
        fs::write(&path, text.replace(anchor, &format!("{addition}{anchor}"))).expect("it can be written");
    }
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rustc-env=HEARTH_RUSTC_VERSION=0.0.0");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let copied = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &copied);
            continue;
        }
        let text = fs::read_to_string(&entry).expect("text");
        // What is included into a crate's root cannot speak of the crate as a whole.
        let is_root = copied.ends_with("src/lib.rs");
        let kept = text.lines().filter(|line| !is_root || !line.starts_with("//!"));
        fs::write(&copied, kept.collect::<Vec<_>>().join("\n") + "\n").expect("it can be written");
    }
}
