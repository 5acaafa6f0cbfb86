//! nginx as a plain reverse proxy: the yardstick.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hearth_tests::{Explain, Problem, Result, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const START_LIMIT: Duration = Duration::from_secs(10);

/// A running nginx, with a worker for each of two processors, kept-alive connections to both sides, and no log.
/// Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Nginx {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Nginx {
    /// Starts it in front of these endpoints: `/N/path` goes to `/path` of the N-th, because an instance takes
    /// one event at a time.
    pub(crate) fn start(endpoints: &[String]) -> Result<Self> {
        install()?;
        let folder = tempfile::tempdir().explain("cannot make a folder")?;
        let address = free_address()?;
        let settings = folder.path().join("nginx.conf");
        fs::write(&settings, configuration(folder.path(), &address, endpoints))
            .explain("cannot write nginx.conf")?;
        let log = File::create(folder.path().join("output")).explain("cannot make a file")?;
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .explain("cannot start nginx")?;
        let nginx = Self { child, address, folder };
        wait_until("nginx to listen", START_LIMIT, || TcpStream::connect(&nginx.address).ok()).map_err(
            |problem| {
                let output = fs::read_to_string(nginx.folder.path().join("output")).unwrap_or_default();
                Problem::new(format!("{problem}\n{output}"))
            },
        )?;
        Ok(nginx)
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Killed, the master would leave its workers behind.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ended_already = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ended = self.child.wait();
    }
}

fn install() -> Result<()> {
    let is_there = || Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok();
    if is_there() {
        return Ok(());
    }
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--quiet", "nginx-light"]).stdout(Stdio::null());
    let is_installed = apt.status().is_ok_and(|status| status.success()) && is_there();
    if is_installed { Ok(()) } else { Err(Problem::new("nginx is needed for comparison; install it")) }
}

fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").explain("cannot find a free port")?;
    Ok(listener.local_addr().explain("cannot find a free port")?.to_string())
}

fn configuration(folder: &Path, address: &str, endpoints: &[String]) -> String {
    let folder = folder.display();
    let upstream = |(index, endpoint): (usize, &String)| {
        format!(
            "    upstream instance{index} {{ server {endpoint}; keepalive 16; keepalive_requests 1000000000; }}\n"
        )
    };
    let location =
        |index: usize| format!("        location /{index}/ {{ proxy_pass http://instance{index}/; }}\n");
    let upstreams = endpoints.iter().enumerate().map(upstream).collect::<Vec<_>>().concat();
    let locations = (0..endpoints.len()).map(location).collect::<Vec<_>>().concat();
    format!(
        "daemon off;\nworker_processes 2;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 512; }}\n\
         http {{\n    access_log off;\n    keepalive_requests 1000000000;\n\
         \x20   client_body_temp_path {folder}/body;\n    proxy_temp_path {folder}/proxy;\n\
         {upstreams}    server {{\n        listen {address};\n        proxy_http_version 1.1;\n\
         \x20       proxy_set_header Connection \"\";\n{locations}    }}\n}}\n"
    )
}
