//! A host that is killed. The test starts itself again as that host.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::World;
use hearth_backend_process::Config;

/// Starts a child, which no death signal reaches, and says both numbers.
const FUNCTION: &str = "
import os, subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])
open(os.environ['PIDS'], 'w').write(f'{os.getpid()} {child.pid}')
def handler(event, context): pass
";

/// Set for the host that is to be killed: where it writes the numbers.
const ROLE: &str = "HEARTH_TEST_HOST_TO_BE_KILLED";

#[test]
#[expect(clippy::disallowed_methods, reason = "the variable tells the two roles of this test apart")]
fn a_host_that_is_killed_leaves_no_process_behind() {
    if let Some(pids) = std::env::var_os(ROLE) {
        return be_the_host(pids.to_str().unwrap());
    }
    let directory = tempfile::tempdir().unwrap();
    let pids = directory.path().join("pids");
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::a_host_that_is_killed_leaves_no_process_behind", "--nocapture"])
        .env(ROLE, &pids)
        .env("TMPDIR", directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(host.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap().contains("launched")));
    let pids = std::fs::read_to_string(pids).unwrap();
    let pids: Vec<u32> = pids.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() == 2 && pids.iter().copied().all(is_alive), "both run while the host does");
    host.kill().unwrap();
    host.wait().unwrap();
    let gone = (0..1000).any(|_| {
        // Nobody tells when a process that is not a child has ended.
        std::thread::sleep(Duration::from_millis(10));
        !pids.iter().copied().any(is_alive)
    });
    assert!(gone, "a process outlived its host: {pids:?}");
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Launches, says so, and waits to be killed.
fn be_the_host(pids: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let world = runtime.block_on(async {
        let world = World::with(Config::default()).await;
        let mut spec = world.function("python3.13", "app.handler", &[("app.py", FUNCTION)]);
        spec.env.insert("PIDS".into(), pids.into());
        world.launch(&spec).await;
        world
    });
    println!("launched");
    std::io::stdout().flush().unwrap();
    // The pipe does not end before this process does.
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    drop(world);
}
