//! An instance that depends on nobody: it answers every event with the event, and notes that it did in its log, for
//! as long as the file is there that stands for it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn main() -> Result<()> {
    let life = PathBuf::from(std::env::args_os().nth(1).expect("the file that stands for it"));
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?);
    let log = life.with_extension("log");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let log = log.clone();
            std::thread::spawn(move || serve(stream, &log));
        }
    });
    while life.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn serve(stream: TcpStream, log: &Path) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut event = vec![0; length];
        reader.read_exact(&mut event)?;
        let line = [b"served ", &*event, b"\n"].concat();
        File::options().create(true).append(true).open(log)?.write_all(&line)?;
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        writer.write_all(&[head.as_bytes(), &event].concat())?;
    }
}
