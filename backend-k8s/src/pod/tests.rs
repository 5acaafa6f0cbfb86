use expect_test::expect_file;
use hearth_core::Image;
use serde_json::{Value, json};

use super::*;

fn spec() -> LaunchSpec {
    LaunchSpec {
        function: "my_function".into(),
        version: "$LATEST".into(),
        deploy_id: "-WS9mfNVKSuFhIMyWWKUoC9JvIDnCZVbVDxEXWxBoTA".into(),
        runtime: "python3.13".into(),
        handler: "app.handler".into(),
        architecture: "x86_64".into(),
        memory_mb: 1769,
        ephemeral_storage_mb: 512,
        timeout_ms: 2_500,
        init_timeout_ms: 10_000,
        slots: 1,
        env: [("NAME".into(), "a $(PATH) b".into())].into(),
        secret_env: [("AWS_SECRET_ACCESS_KEY".into(), "hush".into())].into(),
        token: "secret".into(),
        ..LaunchSpec::default()
    }
}

fn of_image(entry_point: &[&str], command: &[&str]) -> LaunchSpec {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    let image = Image {
        uri: "mine:1".into(),
        entry_point: words(entry_point),
        command: words(command),
        ..Image::default()
    };
    LaunchSpec { runtime: String::new(), handler: String::new(), image: Some(image), ..spec() }
}

fn fetch(folders: &[&'static str]) -> Fetch {
    let text = |text: &str| text.to_owned();
    Fetch {
        url: text("http://10.0.0.1:3002/parcel"),
        token: text("t"),
        sha256: text("00"),
        folders: folders.to_vec(),
    }
}

/// The pod and its Secret.
fn made(spec: &LaunchSpec, config: &Config, emulator: Emulator, fetch: Option<&Fetch>) -> (Value, Value) {
    let host = HostInfo { owner: "o".into(), epoch: "e".into(), ..HostInfo::default() };
    let owner = OwnPod { name: "hearth-0".into(), uid: "u".into(), namespace: "n".into() };
    let placement = Placement::of(config).unwrap();
    let (host, owner, placement) = (&host, Some(&owner), &placement);
    let plan = Plan { name: "hearth-f-1", spec, config, host, owner, placement, emulator, fetch };
    let pod = plan.pod().unwrap();
    let secret = plan.secret(&pod);
    (serde_json::to_value(pod).unwrap(), serde_json::to_value(secret).unwrap())
}

#[test]
fn a_pod_asks_for_nothing_that_a_restricted_namespace_refuses() {
    let fetch = fetch(&[BIN, TASK]);
    let (pod, secret) = made(&spec(), &Config::default(), Emulator::Hearth, Some(&fetch));
    let mut shown = json!([pod, secret]);
    shown.sort_all_objects();
    expect_file!["restricted.json"].assert_eq(&serde_json::to_string_pretty(&shown).unwrap());
}

#[test]
fn the_emulator_stands_in_front_of_what_the_image_would_start() {
    let provided = LaunchSpec { runtime: "provided.al2023".into(), ..spec() };
    let with_emulator = ["/usr/local/bin/aws-lambda-rie", "/bootstrap"];
    for (spec, emulator, expected) in [
        (spec(), Emulator::Hearth, "/var/hearth/rie /var/runtime/bootstrap | "),
        (provided.clone(), Emulator::Hearth, "/var/hearth/rie | "),
        (of_image(&[], &[]), Emulator::Hearth, " | "),
        (of_image(&[], &["a.b"]), Emulator::Hearth, " | a.b"),
        (of_image(&["/e"], &["a.b"]), Emulator::Hearth, "/var/hearth/rie /e a.b | "),
        (of_image(&with_emulator, &[]), Emulator::Hearth, "/var/hearth/rie /bootstrap | "),
        (spec(), Emulator::Image, " | app.handler"),
        (of_image(&["/e"], &["a.b"]), Emulator::Image, "/e | a.b"),
    ] {
        let (pod, _) = made(&spec, &Config::default(), emulator, None);
        let words = |of: &str| {
            let words = pod["spec"]["containers"][0][of].as_array().into_iter().flatten();
            words.map(|word| word.as_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(format!("{} | {}", words("command"), words("args")), expected);
    }
}

#[test]
fn an_image_with_an_entry_point_of_its_own_finds_the_emulator_in_the_place_of_that_of_aws() {
    let targets = |spec: &LaunchSpec| {
        let (pod, _) = made(spec, &Config::default(), Emulator::Hearth, Some(&fetch(&[BIN])));
        let mounts = pod["spec"]["containers"][0]["volumeMounts"].as_array().unwrap().clone();
        mounts.iter().map(|mount| mount["mountPath"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(targets(&of_image(&[], &[])), ["/tmp", "/var/hearth", "/usr/local/bin/aws-lambda-rie"]);
    assert_eq!(targets(&of_image(&["/e"], &[])), ["/tmp", "/var/hearth"]);
}

#[test]
fn an_emulator_that_is_in_the_image_fetches_the_code_by_itself() {
    let config = Config { rie_in_image: Some("/usr/local/bin/rie".to_owned()), ..Config::default() };
    let (pod, _) = made(&spec(), &config, Emulator::Hearth, Some(&fetch(&[TASK])));
    assert_eq!(pod["spec"].get("initContainers"), None);
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["command"], json!(["/usr/local/bin/rie", "/var/runtime/bootstrap"]));
    let mounts = container["volumeMounts"].as_array().unwrap();
    let mounts: Vec<_> = mounts
        .iter()
        .map(|mount| (mount["mountPath"].as_str().unwrap(), mount["readOnly"] == true))
        .collect();
    assert_eq!(mounts, [("/tmp", false), ("/var/task", true), ("/var/parcel", false)]);
    let told = container["env"].as_array().unwrap().iter().filter(|it| it["name"] == "HEARTH_RIE_FETCH_URL");
    assert_eq!(told.count(), 1);
    // One with an emulator of AWS's is given its code by an init container all the same.
    let (pod, _) = made(&spec(), &config, Emulator::Image, Some(&fetch(&[TASK])));
    assert_eq!(pod["spec"]["initContainers"].as_array().unwrap().len(), 1);
}

#[test]
fn an_init_image_that_knows_what_to_do_is_not_told_by_a_script() {
    let config =
        Config { init_shell: false, init_image: "hearth-rie:latest".to_owned(), ..Config::default() };
    let (pod, _) = made(&spec(), &config, Emulator::Hearth, Some(&fetch(&[BIN, TASK])));
    let container = &pod["spec"]["initContainers"][0];
    assert_eq!((container.get("command"), &container["image"]), (None, &json!("hearth-rie:latest")));
    assert_eq!(container["env"][3], json!({"name": "HEARTH_RIE_FETCH_TO", "value": "/var/parcel"}));
}

#[test]
fn what_needs_nothing_from_the_host_has_no_init_container() {
    let (pod, _) = made(&of_image(&[], &[]), &Config::default(), Emulator::Image, None);
    assert_eq!(pod["spec"].get("initContainers"), None);
    assert_eq!(pod["spec"]["volumes"].as_array().unwrap().len(), 1);
}

#[test]
fn memory_and_processors_are_what_the_settings_say() {
    let of = |config: &Config, spec: &LaunchSpec| {
        made(spec, config, Emulator::Hearth, None).0["spec"]["containers"][0]["resources"].clone()
    };
    let small = LaunchSpec { memory_mb: 128, ..spec() };
    let shares = json!({
        "limits": {"memory": "160Mi"},
        "requests": {"cpu": "18m", "memory": "160Mi"},
    });
    assert_eq!(of(&Config::default(), &small), shares);
    let config = Config { cpu: Cpu::Quota, tmp: Tmp::Memory, memory_overhead_mb: 0, ..Config::default() };
    let quota = json!({
        "limits": {"cpu": "1000m", "memory": "2281Mi"},
        "requests": {"cpu": "250m", "memory": "2281Mi"},
    });
    assert_eq!(of(&config, &spec()), quota);
}

#[test]
fn kubernetes_replaces_nothing_in_a_text() {
    for (text, escaped) in [
        ("$LATEST", "$LATEST"),
        ("$(HOME)", "$$(HOME)"),
        ("$$", "$$$"),
        ("$$(HOME)", "$$$$(HOME)"),
        ("a$b$", "a$b$"),
    ] {
        assert_eq!(literal(text), escaped);
    }
}

#[test]
fn the_image_is_that_of_the_runtime_unless_the_user_names_another() {
    let mut config = Config::default();
    config.images.insert("python3.12".to_owned(), "mine/python".to_owned());
    let of = |runtime: &str| image(&LaunchSpec { runtime: runtime.to_owned(), ..spec() }, &config);
    assert_eq!(of("python3.13").unwrap(), "public.ecr.aws/lambda/python:3.13");
    assert_eq!(of("python3.12").unwrap(), "mine/python");
    assert_eq!(image(&of_image(&[], &[]), &config).unwrap(), "mine:1");
    assert_eq!(of("cobol85").unwrap_err().kind, ErrorKind::SPEC_REJECTED);
}

#[test]
fn whom_functions_run_as_is_two_numbers() {
    let of = |text: &str| user(&Config { user: text.to_owned(), ..Config::default() });
    assert_eq!((of("1:2").unwrap(), of("").unwrap()), (Some((1, 2)), None));
    let error = of("root").unwrap_err();
    assert_eq!(
        error.to_string(),
        "user in [backends.k8s] is `root`: it can be uid:gid, two numbers, or empty"
    );
}
