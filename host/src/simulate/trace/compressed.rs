//! Reads a text file, compressed or not.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;

const GZIP: &[u8] = &[0x1f, 0x8b];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];

/// The whole text of a file: plain, gzip or xz, which its first bytes tell.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut start = Vec::new();
    let mut file = BufReader::new(File::open(path)?);
    file.by_ref().take(XZ.len() as u64).read_to_end(&mut start)?;
    let is = |magic| start.starts_with(magic);
    let (is_gzip, is_xz) = (is(GZIP), is(XZ));
    let whole = io::Cursor::new(start).chain(file);
    let mut text = String::new();
    if is_gzip {
        MultiGzDecoder::new(whole).read_to_string(&mut text)?;
    } else if is_xz {
        XzReader::new(whole, true).read_to_string(&mut text)?;
    } else {
        { whole }.read_to_string(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn check(bytes: &[u8], expected: &str) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        assert_eq!(read(file.path()).unwrap(), expected);
    }

    #[test]
    fn plain_text_is_read_as_it_is_however_short() {
        check(b"a,b\n1,2\n", "a,b\n1,2\n");
        check(b"", "");
    }

    #[test]
    fn gzip_is_unpacked() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"a,b\n1,2\n").unwrap();
        check(&encoder.finish().unwrap(), "a,b\n1,2\n");
    }

    /// What `printf 'a,b\n1,2\n' | xz` writes.
    #[test]
    fn xz_is_unpacked() {
        check(XZ_FILE, "a,b\n1,2\n");
    }

    #[test]
    fn a_file_that_is_cut_off_is_an_error() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&XZ_FILE[..40]).unwrap();
        assert!(read(file.path()).is_err());
    }

    const XZ_FILE: &[u8] = &[
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01, 0x16,
        0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x07, 0x61, 0x2c, 0x62, 0x0a, 0x31, 0x2c, 0x32,
        0x0a, 0x00, 0xbe, 0x9c, 0xbd, 0x49, 0xb5, 0x12, 0x2a, 0xfe, 0x00, 0x01, 0x20, 0x08, 0xbb, 0x19, 0xd9,
        0xbb, 0x1f, 0xb6, 0xf3, 0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
    ];
}
