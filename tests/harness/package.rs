//! Deployment packages.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::{Explain, Result};

/// A zip with these files, each a name and what is in it. All may be read and run by everybody.
pub fn zip_of(files: &[(&str, impl AsRef<[u8]>)]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755))
            .explain("cannot write a zip")?;
        zip.write_all(content.as_ref()).explain("cannot write a zip")?;
    }
    Ok(zip.finish().explain("cannot write a zip")?.into_inner())
}

/// A zip with the source files of a folder, not of those below it.
pub fn zip_folder(folder: &Path) -> Result<Vec<u8>> {
    let entries = fs::read_dir(folder).explain(format_args!("cannot read {}", folder.display()))?;
    let mut files = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = fs::read_to_string(&path).explain(format_args!("cannot read {}", path.display()))?;
        files.push((name, text));
    }
    files.sort();
    zip_of(&files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
}
