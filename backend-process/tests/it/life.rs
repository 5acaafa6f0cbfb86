//! Launching, looking at and ending instances.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::Path;

use hearth_backend_process::Config;
use hearth_core::{Backend, CallContext, Protocol, State};
use serde_json::json;

use crate::support::{World, invoke};

const HELLO: &str =
    "import os\nprint('loaded')\ndef handler(event, context):\n    print('called')\n    return os.getpid()";

fn cx() -> CallContext {
    CallContext::default()
}

#[tokio::test]
async fn an_instance_is_launched_listed_inspected_and_gone_after_it_is_terminated() {
    let world = World::new().await;
    let spec = world.function("python3.13", "app.handler", &[("app.py", HELLO)]);
    let instance = world.launch(&spec).await;
    assert_eq!((instance.handle.as_str(), instance.protocol), ("instance-0", Protocol::HEARTH_1));
    assert_eq!(instance.meta["init.outcome"], "ready");
    let pid = invoke(&instance, "id", "{}").await.json().to_string();
    assert_eq!(instance.meta["process.id"], pid);
    let status = world.backend.inspect(&cx(), "instance-0").await.unwrap();
    assert_eq!((status.state, &*status.owner, &*status.epoch), (State::RUNNING, "owner", "this"));
    assert_eq!(world.backend.list(&cx()).await.unwrap(), [status]);
    let stats = world.backend.stats(&cx(), "instance-0").await.unwrap();
    assert!(stats.memory_bytes > 1024 * 1024 && stats.memory_peak_bytes >= stats.memory_bytes, "{stats:?}");
    let tmp = world.directory.path().join("state/instances/instance-0");
    assert!(tmp.join("tmp").is_dir());
    world.terminate(&instance).await;
    world.terminate(&instance).await;
    assert!(!tmp.exists());
    assert!(!Path::new("/proc").join(pid).join("exe").exists());
    assert_eq!(world.backend.list(&cx()).await.unwrap(), []);
    assert!(world.backend.inspect(&cx(), "instance-0").await.is_err());
    assert_eq!(*world.events.lock().unwrap(), [], "an end that was asked for is no news");
}

#[tokio::test]
async fn the_log_has_what_was_written_from_a_point_in_time_on_and_ends_with_the_instance() {
    let world = World::new().await;
    let instance = world.launch(&world.function("python3.13", "app.handler", &[("app.py", HELLO)])).await;
    invoke(&instance, "id", "{}").await;
    let mut all = world.backend.logs(&cx(), &instance.handle, 0).await.unwrap();
    let mut none = world.backend.logs(&cx(), &instance.handle, u64::MAX).await.unwrap();
    world.terminate(&instance).await;
    let mut lines = Vec::new();
    while let Some(line) = poll_fn(|cx| all.as_mut().poll_next(cx)).await {
        lines.push(line.line);
    }
    assert_eq!(lines[..4], ["loaded", "START RequestId: id Version: $LATEST", "called", "END RequestId: id"]);
    assert!(poll_fn(|cx| none.as_mut().poll_next(cx)).await.is_none());
}

#[tokio::test]
async fn a_paused_instance_stands_still_until_it_is_resumed() {
    let world = World::new().await;
    let instance = world.launch(&world.function("python3.13", "app.handler", &[("app.py", HELLO)])).await;
    world.backend.pause(&cx(), &instance.handle).await.unwrap();
    // The signal was sent; it arrives when the kernel gets to it.
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", instance.meta["process.id"])).unwrap();
    while !stat().contains(") T ") {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.backend.inspect(&cx(), &instance.handle).await.unwrap().state, State::PAUSED);
    world.backend.resume(&cx(), &instance.handle).await.unwrap();
    world.backend.resume(&cx(), &instance.handle).await.unwrap();
    invoke(&instance, "id", "{}").await;
    world.backend.pause(&cx(), &instance.handle).await.unwrap();
    world.terminate(&instance).await;
}

#[tokio::test]
async fn a_function_over_its_memory_is_killed_unless_the_limit_is_not_enforced() {
    let source = "import time\ndef handler(event, context):\n    hog = bytearray(200 * 1024 * 1024)\n    time.sleep(0.5)\n    return len(hog)";
    for (enforce_memory, expected) in [
        (
            true,
            json!({"errorType": "Runtime.OutOfMemory", "errorMessage": "RequestId: id-1 Error: Runtime exited with error: signal: killed"}),
        ),
        (false, json!(200 * 1024 * 1024)),
    ] {
        let world = World::with(Config { enforce_memory, ..Config::default() }).await;
        let mut spec = world.function("python3.13", "app.handler", &[("app.py", source)]);
        spec.memory_mb = 128;
        assert_eq!(world.run(&spec, "{}").await.json(), expected);
    }
}

#[tokio::test]
async fn an_init_that_fails_is_an_instance_nevertheless() {
    let world = World::new().await;
    let instance = world
        .launch(&world.function("python3.13", "app.handler", &[("app.py", "raise ValueError('no')")]))
        .await;
    assert_eq!(instance.meta["init.outcome"], "failed");
    assert_eq!(instance.meta["init.error"], "ValueError: no");
    assert_eq!(invoke(&instance, "id", "{}").await.json()["errorMessage"], "no");
    world.terminate(&instance).await;
}

#[tokio::test]
async fn temporary_files_are_the_instances_own() {
    let source = "import tempfile, os\ndef handler(event, context):\n    handle, path = tempfile.mkstemp()\n    return path";
    let world = World::new().await;
    let spec = world.function("python3.13", "app.handler", &[("app.py", source)]);
    let instance = world.launch(&spec).await;
    let path = invoke(&instance, "id", "{}").await.json().as_str().unwrap().to_owned();
    let own = world.directory.path().canonicalize().unwrap().join("state/instances/instance-0/tmp");
    assert!(Path::new(&path).starts_with(own), "{path}");
    world.terminate(&instance).await;
    assert!(!Path::new(&path).exists());
}

#[tokio::test]
async fn outside_of_tmp_an_instance_has_a_tmp_of_its_own_where_the_machine_allows_it() {
    let source = "import os\ndef handler(event, context):\n    open('/tmp/own', 'w').close()\n    return ['TMPDIR' in os.environ, os.listdir('/tmp')]";
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let world = World::at(directory, Config::default(), "this").await;
    let spec = world.function("python3.13", "app.handler", &[("app.py", source)]);
    if world.backend.info().meta["tmp"] != "private" {
        println!("skipped: this machine allows no mount namespaces");
        return;
    }
    assert_eq!(world.run(&spec, "{}").await.json(), json!([false, ["own"]]));
}

#[tokio::test]
async fn what_the_user_configures_for_every_function_reaches_it() {
    let environment = BTreeMap::from([("EVERYWHERE".to_owned(), "yes".to_owned())]);
    let world = World::with(Config { environment, ..Config::default() }).await;
    let source = "import os\ndef handler(event, context): return os.environ['EVERYWHERE']";
    let spec = world.function("python3.13", "app.handler", &[("app.py", source)]);
    assert_eq!(world.run(&spec, "{}").await.json(), json!("yes"));
}

#[tokio::test]
async fn what_another_host_process_left_is_reaped_and_what_this_one_runs_is_not() {
    let earlier = World::new().await;
    let left = earlier.launch(&earlier.function("python3.13", "app.handler", &[("app.py", HELLO)])).await;
    let World { directory, backend: still_there, .. } = earlier;
    let world = World::at(directory, Config::default(), "another").await;
    let mut spec = world.function("python3.13", "app.handler", &[("app.py", HELLO)]);
    spec.instance_id = "mine".into();
    let mine = world.launch(&spec).await;
    let listed = world.backend.list(&cx()).await.unwrap();
    let mut handles: Vec<_> = listed.iter().map(|status| (&*status.handle, &*status.epoch)).collect();
    handles.sort_unstable();
    assert_eq!(handles, [("instance-0", "this"), ("mine", "another")]);
    let report = world.backend.reap(&cx()).await.unwrap();
    assert_eq!((report.removed, report.failed), (vec!["instance-0".to_owned()], Vec::new()));
    assert!(!Path::new("/proc").join(&left.meta["process.id"]).join("exe").exists());
    assert_eq!(world.backend.reap(&cx()).await.unwrap().removed, Vec::<String>::new());
    assert!(invoke(&mine, "id", "{}").await.error.is_none());
    world.terminate(&mine).await;
    drop(still_there);
}
