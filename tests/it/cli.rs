//! The command line: what it says, and with which exit status.

use std::fs;
use std::net::TcpListener;

use hearth_tests::{Ended, wait_until};

use crate::support::{ECHO, LIMIT, deploy, launch};

/// Runs `hearth` with these arguments to its end.
fn hearth(args: &[&str]) -> Ended {
    launch().args(args.iter().copied()).run_to_end().unwrap()
}

/// Checks that `hearth` ends with this status, and that these words are in what it says.
#[track_caller]
fn check(args: &[&str], status: i32, words: &[&str]) {
    let ended = hearth(args);
    assert_eq!(ended.status.code(), Some(status), "{}", ended.output);
    for word in words {
        assert!(ended.output.contains(word), "`{word}` is not in:\n{}", ended.output);
    }
}

#[test]
fn the_version_and_the_help_are_printed() {
    check(&["--version"], 0, &[&format!("hearth {}", env!("CARGO_PKG_VERSION"))]);
    check(&["--help"], 0, &["--backend", "--listen", "--data-dir", "--config", "HEARTH_LISTEN", "backends"]);
}

#[test]
fn what_is_made_of_the_api_is_told() {
    let ended = hearth(&["api"]);
    assert!(ended.output.contains(include_str!("../../docs/api.md")), "{}", ended.output);
}

#[test]
fn an_unknown_flag_is_named() {
    check(&["--colour"], 2, &["unexpected argument '--colour'"]);
}

#[test]
fn an_address_that_is_none_is_named() {
    check(&["--listen", "here"], 1, &["listen: `here` is not HOST:PORT"]);
}

#[test]
fn an_address_that_others_reach_needs_consent() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    check(
        &["--listen", "0.0.0.0:0", "--data-dir", data],
        1,
        &["can be reached from other machines", "--allow-anonymous"],
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(&["--listen", &address], 1, &[&format!("cannot listen on {address}"), "--listen HOST:PORT"]);
}

#[test]
fn a_settings_file_that_is_missing_or_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hearth.toml");
    let file = path.to_str().unwrap();
    check(&["--config", file], 1, &["cannot read the settings file", file]);
    fs::write(&path, "lisen = '127.0.0.1:0'\n").unwrap();
    check(&["--config", file], 1, &[file, "unknown field `lisen`", "listen"]);
    fs::write(&path, "[backends.process]\ncolour = 1\n").unwrap();
    let data = folder.path().join("data");
    check(
        &["--config", file, "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()],
        1,
        &["colour"],
    );
}

/// Also when it is a function that is deployed already which the settings leave no room for.
#[test]
fn settings_of_the_pool_that_cannot_hold_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("hearth.toml"), folder.path().join("data"));
    let file = path.to_str().unwrap();
    for (setting, message) in [
        (
            "memory_budget_mb = 64",
            "pool.memory_budget_mb: 64 is less than one instance of the smallest function",
        ),
        ("max_waiters = 0", "pool.max_waiters: must be at least 1"),
        ("account_concurrency = 0", "pool.account_concurrency: must be at least 1"),
        ("launches_at_once = 0", "pool.launches_at_once: must be at least 1"),
        ("keep_alive_seconds = -1", "pool.keep_alive_seconds: -1 is not a length of time in seconds"),
    ] {
        fs::write(&path, format!("[pool]\n{setting}\n")).unwrap();
        check(&["--config", file], 1, &[message]);
    }
    let host = launch().backend("mock").data_dir(&data).start().unwrap();
    let client = host.client();
    deploy(&client, "large", ECHO);
    let configuration = "/2015-03-31/functions/large/configuration";
    client.send("PUT", configuration, &[], br#"{"MemorySize": 512}"#).unwrap().ok().unwrap();
    wait_until("the update to end", LIMIT, || {
        (client.get(configuration).unwrap()["LastUpdateStatus"] == "Successful").then_some(())
    })
    .unwrap();
    host.stop().unwrap();
    fs::write(&path, "[pool]\nmemory_budget_mb = 256\n").unwrap();
    let again = launch().backend("mock").data_dir(&data).args(["--config", file]);
    let refused = again.start().unwrap_err().to_string();
    let message = "pool.memory_budget_mb: 256 is less than one instance of \
                   arn:aws:lambda:us-east-1:000000000000:function:large:$LATEST, which has 512";
    assert!(refused.contains(message), "{refused}");
}

#[test]
fn a_function_larger_than_the_memory_of_the_host_is_refused_by_the_name_of_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hearth.toml");
    fs::write(&path, "[pool]\nmemory_budget_mb = 256\n").unwrap();
    let host = launch().backend("mock").args(["--config", path.to_str().unwrap()]).start().unwrap();
    let client = host.client();
    deploy(&client, "echo", ECHO);
    let configuration = "/2015-03-31/functions/echo/configuration";
    let update = |body: &[u8]| client.send("PUT", configuration, &[], body).unwrap();
    let refused = update(br#"{"MemorySize": 257}"#);
    assert_eq!(
        (refused.status(), refused.header("x-amzn-ErrorType")),
        (400, Some("InvalidParameterValueException"))
    );
    assert!(refused.text().contains("(pool.memory_budget_mb)"), "{}", refused.text());
    update(br#"{"MemorySize": 256}"#).ok().unwrap();
}

#[test]
fn a_backend_that_is_not_there_is_told_with_those_that_are() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let anywhere = ["--listen", "127.0.0.1:0", "--data-dir", data];
    check(
        &[&anywhere[..], &["--backend", "nowhere"]].concat(),
        1,
        &["libhearth_backend_nowhere.so", "process", "mock"],
    );
    check(&[&anywhere[..], &["--backend", "./nowhere.so"]].concat(), 1, &["./nowhere.so"]);
}

#[test]
fn a_file_that_is_no_backend_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libhearth_backend_text.so");
    fs::write(&path, "not a library").unwrap();
    let (file, data) = (path.to_str().unwrap(), folder.path().join("data"));
    check(&["--backend", file, "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()], 1, &[file]);
}

#[test]
fn a_second_host_in_a_data_directory_is_refused_and_the_first_serves_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = launch().backend("mock").data_dir(folder.path()).start().unwrap();
    let refusal = launch().backend("mock").data_dir(folder.path()).start().unwrap_err().to_string();
    assert!(refusal.contains("is in use by another hearth"), "{refusal}");
    assert_eq!(first.client().get("/_hearth/health").unwrap()["status"], "ok");
}

#[test]
fn backends_are_listed_with_version_interface_and_capabilities() {
    let ended = hearth(&["backends"]);
    assert!(ended.status.success(), "{}", ended.output);
    for name in ["process", "mock"] {
        let line = ended.output.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in:\n{}", ended.output));
        assert!(line.contains(env!("CARGO_PKG_VERSION")), "{line}");
        assert!(line.contains(&format!("libhearth_backend_{name}.so")), "{line}");
    }
    let json = hearth(&["backends", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    let names: Vec<_> =
        listed.as_array().unwrap().iter().filter_map(|backend| backend["name"].as_str()).collect();
    assert!(names.contains(&"process") && names.contains(&"mock"), "{names:?}");
}

/// A flag wins over the variable, that over the file. The banner tells address and backend.
#[test]
fn the_flag_wins_over_the_variable_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hearth.toml");
    let [in_file, in_variable, in_flag] = ["file", "variable", "flag"].map(|name| folder.path().join(name));
    let settings = format!("backend = 'mock'\nlisten = '127.0.0.2:0'\ndata_dir = {in_file:?}\n");
    fs::write(&file, settings).unwrap();

    let from_file = launch().as_given().args(["--config", file.to_str().unwrap()]);
    let host = from_file.start().unwrap();
    assert!(
        host.address().starts_with("127.0.0.2:") && host.banner().contains("(backend mock "),
        "{}",
        host.banner()
    );
    assert!(in_file.join("hearth.db").exists());
    host.stop().unwrap();

    let with_variables = from_file
        .env("HEARTH_LISTEN", "127.0.0.3:0")
        .env("HEARTH_BACKEND", "process")
        .env("HEARTH_DATA_DIR", in_variable.to_str().unwrap());
    let host = with_variables.start().unwrap();
    assert!(
        host.address().starts_with("127.0.0.3:") && host.banner().contains("(backend process "),
        "{}",
        host.banner()
    );
    assert!(in_variable.join("hearth.db").exists());
    host.stop().unwrap();

    let flags = ["--listen", "127.0.0.4:0", "--backend", "mock", "--data-dir", in_flag.to_str().unwrap()];
    let host = with_variables.args(flags).start().unwrap();
    assert!(
        host.address().starts_with("127.0.0.4:") && host.banner().contains("(backend mock "),
        "{}",
        host.banner()
    );
    assert!(in_flag.join("hearth.db").exists());
    host.stop().unwrap();

    let file_by_variable = launch().as_given().env("HEARTH_CONFIG", file.to_str().unwrap());
    assert!(file_by_variable.start().unwrap().address().starts_with("127.0.0.2:"));
}
