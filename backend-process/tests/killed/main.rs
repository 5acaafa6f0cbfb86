//! A host that is killed leaves no process behind. This program is its own host: it starts itself again,
//! kills that, and looks for what is left.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use hearth_backend_process::{Config, ProcessBackend};
use hearth_core::{
    Artifact, Backend, CallContext, Event, Host, HostInfo, HostSink, LaunchSpec, Plugin, Progress,
};

/// Starts a child, which no death signal reaches, and says both numbers.
const FUNCTION: &str = "
import os, subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])
open('pids', 'w').write(f'{os.getpid()} {child.pid}')
def handler(event, context): pass
";

fn main() {
    if let Some(directory) = std::env::args().nth(1).filter(|argument| argument.starts_with('/')) {
        return be_the_host(&directory);
    }
    let directory = tempfile::tempdir().unwrap();
    let mut host = Command::new(std::env::current_exe().unwrap())
        .arg(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pids: Vec<u32> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2, "{line}");
    assert!(pids.iter().all(is_alive), "both run while the host does");
    host.kill().unwrap();
    host.wait().unwrap();
    let gone = (0..500).any(|_| {
        wait_a_little();
        !pids.iter().any(is_alive)
    });
    assert!(gone, "a process outlived its host: {pids:?}");
    println!("a host that is killed leaves no process behind ... ok");
}

#[expect(clippy::disallowed_methods, reason = "nobody tells when a process that is not a child has ended")]
fn wait_a_little() {
    std::thread::sleep(Duration::from_millis(10));
}

fn is_alive(pid: &u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

struct Nobody;

impl HostSink for Nobody {
    fn event(&self, _event: Event) {}
    fn progress(&self, _progress: Progress) {}
}

/// Launches, says so, and waits to be killed.
fn be_the_host(directory: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let code = format!("{directory}/code");
    std::fs::create_dir(&code).unwrap();
    std::fs::write(format!("{code}/app.py"), FUNCTION).unwrap();
    let backend = runtime.block_on(async {
        let info = HostInfo { state_dir: format!("{directory}/state"), ..HostInfo::default() };
        let backend = ProcessBackend::create(Config::default(), Host::new(info, Nobody)).await.unwrap();
        let spec = LaunchSpec {
            instance_id: "i".into(),
            runtime: "python3.13".into(),
            memory_mb: 512,
            init_timeout_ms: 10_000,
            slots: 1,
            env: [("_HANDLER".to_owned(), "app.handler".to_owned())].into(),
            code: Some(Artifact { dir_path: code.clone(), ..Artifact::default() }),
            ..LaunchSpec::default()
        };
        backend.launch(&CallContext::default(), &spec).await.unwrap();
        backend
    });
    let pids = std::fs::read_to_string(format!("{code}/pids")).unwrap();
    println!("{pids}");
    std::io::stdout().flush().unwrap();
    // The pipe never ends before this process does.
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    drop(backend);
}
