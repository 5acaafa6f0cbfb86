//! Fetches the code of a function where nobody can mount it: one archive, unpacked only if it is what was meant.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tar::Archive;

/// How often a server that cannot be reached is asked, and how long it is waited in between and for each piece.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);
const PIECE_LIMIT: Duration = Duration::from_secs(30);

/// What is to be fetched, by the environment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// `HEARTH_RIE_FETCH_URL`: `http://address:port/path`.
    url: String,
    /// `HEARTH_RIE_FETCH_TOKEN`.
    token: String,
    /// `HEARTH_RIE_FETCH_SHA256`: of the whole archive, in hexadecimal.
    sha256: String,
    /// `HEARTH_RIE_FETCH_TO`: the folder that it is unpacked into.
    to: PathBuf,
}

impl Order {
    /// `None` if nothing is to be fetched.
    pub(crate) fn of(environment: &BTreeMap<OsString, OsString>) -> Result<Option<Self>, String> {
        let text = |name: &str| {
            environment.get(OsStr::new(name)).and_then(|value| value.to_str()).map(str::to_owned)
        };
        let Some(url) = text("HEARTH_RIE_FETCH_URL") else { return Ok(None) };
        let needed = |name: &str| {
            text(name).ok_or_else(|| format!("{name} is not set, which HEARTH_RIE_FETCH_URL needs"))
        };
        Ok(Some(Self {
            url,
            token: needed("HEARTH_RIE_FETCH_TOKEN")?,
            sha256: needed("HEARTH_RIE_FETCH_SHA256")?,
            to: needed("HEARTH_RIE_FETCH_TO")?.into(),
        }))
    }

    /// Fetches, checks, unpacks. The archive is beside what is in it meanwhile.
    pub(crate) fn carry_out(&self) -> Result<(), String> {
        let path = self.to.join(".parcel.tar");
        let cannot = |doing: &str, error: io::Error| format!("{doing}: {error}");
        let mut archive = File::options().create(true).truncate(true).read(true).write(true).open(&path);
        let archive =
            archive.as_mut().map_err(|error| format!("cannot write to {}: {error}", self.to.display()))?;
        let digest =
            self.patiently(archive).map_err(|error| cannot(&format!("cannot fetch {}", self.url), error))?;
        if digest != self.sha256 {
            return Err(format!("what is at {} is not what was meant: its digest is {digest}", self.url));
        }
        let unpacked = archive.rewind().and_then(|()| unpack(archive, &self.to));
        unpacked
            .and_then(|()| fs::remove_file(&path))
            .map_err(|error| cannot("cannot unpack what was fetched", error))
    }

    #[expect(clippy::disallowed_methods, reason = "there is nothing else to do, and no runtime yet")]
    fn patiently(&self, to: &mut File) -> io::Result<String> {
        let mut tries = 1;
        loop {
            match self.fetch(to) {
                Err(_) if tries < TRIES => tries += 1,
                fetched => return fetched,
            }
            std::thread::sleep(PAUSE);
            to.set_len(0)?;
            to.rewind()?;
        }
    }

    /// Answers with the digest of what came.
    fn fetch(&self, to: &mut File) -> io::Result<String> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let rest =
            self.url.strip_prefix("http://").ok_or_else(|| invalid("it is no http:// URL".to_owned()))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(PIECE_LIMIT))?;
        let request = format!(
            "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            self.token
        );
        stream.write_all(request.as_bytes())?;
        let mut stream = BufReader::with_capacity(1 << 18, stream);
        let length = head(&mut stream)?;
        let mut meter = Meter { to, hasher: Sha256::new() };
        let copied = io::copy(&mut stream.take(length), &mut meter)?;
        if copied < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(meter.hasher.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
    }
}

/// The head of a response, of which the length of the body matters.
fn head(stream: &mut impl BufRead) -> io::Result<u64> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    if line.split(' ').nth(1) != Some("200") {
        return Err(invalid(format!("the answer is {}", line.trim())));
    }
    let mut length = None;
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        }
    }
    length.ok_or_else(|| invalid("the answer does not say how long it is".to_owned()))
}

/// Folders that are there already belong to whoever made them.
fn unpack(archive: &mut File, to: &Path) -> io::Result<()> {
    let mut archive = Archive::new(BufReader::with_capacity(1 << 18, archive));
    archive.set_preserve_mtime(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() && to.join(entry.path()?).is_dir() {
            continue;
        }
        if !entry.unpack_in(to)? {
            return Err(io::Error::other(format!("{} is outside", entry.path()?.display())));
        }
    }
    Ok(())
}

/// Writes on, and digests what it writes.
struct Meter<'a> {
    to: &'a mut File,
    hasher: Sha256,
}

impl Write for Meter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn archive() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |name: &str, kind, mode, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content).unwrap();
        };
        add("task", tar::EntryType::Directory, 0o755, b"");
        add("task/bootstrap", tar::EntryType::Regular, 0o755, b"#!/bin/sh");
        add("task/data", tar::EntryType::Regular, 0o644, &vec![7; 1_000_000]);
        tar.into_inner().unwrap()
    }

    /// Answers one request with each of these, and with the requests in the end.
    fn serve(answers: Vec<Vec<u8>>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/parcel", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let one = |answer: Vec<u8>| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).unwrap();
                stream.write_all(&answer).unwrap();
                String::from_utf8_lossy(&request[..length]).into_owned()
            };
            answers.into_iter().map(one).collect()
        });
        (url, serving)
    }

    fn ok(body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    fn order(url: &str, to: &Path, content: &[u8]) -> Order {
        let sha256 =
            Sha256::digest(content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        Order { url: url.to_owned(), token: "secret".to_owned(), sha256, to: to.to_owned() }
    }

    #[test]
    fn what_was_meant_is_unpacked_into_folders_that_are_there_even_if_it_broke_off_at_first() {
        let (folder, archive) = (tempfile::tempdir().unwrap(), archive());
        fs::create_dir(folder.path().join("task")).unwrap();
        let broken_off = ok(&archive)[..5000].to_vec();
        let (url, serving) = serve(vec![broken_off, ok(&archive)]);
        order(&url, folder.path(), &archive).carry_out().unwrap();
        let bootstrap = folder.path().join("task/bootstrap");
        assert_eq!(fs::read(&bootstrap).unwrap(), b"#!/bin/sh");
        assert_eq!(fs::metadata(&bootstrap).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read(folder.path().join("task/data")).unwrap(), vec![7; 1_000_000]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        for request in serving.join().unwrap() {
            assert!(request.starts_with("GET /parcel HTTP/1.1\r\n"), "{request}");
            assert!(request.contains("\r\nAuthorization: Bearer secret\r\n"), "{request}");
        }
    }

    #[test]
    fn what_was_not_meant_is_not_unpacked() {
        let (folder, archive) = (tempfile::tempdir().unwrap(), archive());
        let (url, serving) = serve(vec![ok(&archive)]);
        let error = order(&url, folder.path(), b"other").carry_out().unwrap_err();
        assert!(error.contains("is not what was meant: its digest is "), "{error}");
        assert!(!folder.path().join("task").exists());
        serving.join().unwrap();
        let refused = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec();
        let (url, serving) = serve(vec![refused; TRIES]);
        let error = order(&url, folder.path(), &archive).carry_out().unwrap_err();
        assert!(error.ends_with("the answer is HTTP/1.1 401 Unauthorized"), "{error}");
        serving.join().unwrap();
    }

    #[test]
    fn an_order_is_in_the_environment_whole_or_not_at_all() {
        let of = |pairs: &[(&str, &str)]| {
            Order::of(&pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
        };
        assert_eq!(of(&[("HEARTH_RIE_TOKEN", "t")]), Ok(None));
        let error = of(&[("HEARTH_RIE_FETCH_URL", "http://a")]).unwrap_err();
        assert_eq!(error, "HEARTH_RIE_FETCH_TOKEN is not set, which HEARTH_RIE_FETCH_URL needs");
    }
}
