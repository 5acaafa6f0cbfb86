//! What a warm invocation does without.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use hearth_tests::Host;

use crate::support::{ECHO, deploy, launch};

/// Every socket that the host has open: its own end and the mock instance's. The system never gives a name twice.
fn sockets(host: &Host) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(format!("/proc/{}/fd", host.pid())).unwrap();
    let targets = files.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).collect()
}

#[test]
fn a_warm_invocation_opens_no_connection_and_reads_no_code() {
    let data = tempfile::tempdir().unwrap();
    let host = launch().backend("mock").data_dir(data.path()).start().unwrap();
    let client = host.client();
    deploy(&client, "echo", ECHO);
    let invoke = || assert_eq!(client.invoke("echo", b"[1]").unwrap().text(), "[1]");
    (0..3).for_each(|_| invoke());
    let before = sockets(&host);
    let code = data.path().join("code");
    fs::rename(&code, data.path().join("elsewhere")).unwrap();
    (0..20).for_each(|_| invoke());
    assert_eq!(sockets(&host), before);
    assert!(!code.exists());
    assert_eq!(client.instances().unwrap().len(), 1);
}
