//! Folders that appear whole or not at all.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// A name that says what is in a folder, from the parts that it is made of: their SHA-256 in hexadecimal.
pub fn name_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    hexadecimal(&parts.into_iter().fold(Sha256::new(), Digest::chain_update).finalize())
}

/// The same for a content that is no text.
pub fn name_of_bytes(content: &[u8]) -> String {
    hexadecimal(&Sha256::digest(content))
}

/// Bytes as text, two characters for each.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut name, byte| {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// Makes a folder and has `fill` fill it, under another name until it is complete. If somebody else makes the
/// same one at the same time, theirs is as good.
pub fn create(folder: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let unfinished = folder.with_extension(format!("unfinished-{}-{number}", std::process::id()));
    fs::create_dir_all(&unfinished)?;
    let filled = fill(&unfinished).and_then(|()| fs::rename(&unfinished, folder));
    if filled.is_err() {
        drop(fs::remove_dir_all(&unfinished));
    }
    if folder.is_dir() { Ok(()) } else { filled }
}
