//! What is written is read.

use super::*;
use crate::catalog::alias::Route;
use crate::catalog::digest::Digest;
use crate::catalog::function::{
    Architecture, FileSystem, FunctionConfig, ImageCode, LayerRef, LogFormat, Logging, PackageRef, SnapStart,
    Status, Tracing, Vpc, ZipCode,
};
use crate::catalog::policy::Statement;
use crate::catalog::provisioned::Provisioned;
use crate::catalog::qualified::{
    EventInvokeConfig, FunctionSettings, Qualified, RecursiveLoop, RuntimeManagement,
};
use crate::catalog::resource::{CodeSigningConfig, Place};
use crate::catalog::url::{Cors, FunctionUrl, InvokeMode, UrlAuth, UrlSettings};

fn database() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hearth.db");
    (folder, path)
}

/// Settings in which nothing is at its default.
fn config(code: Code) -> FunctionConfig {
    FunctionConfig {
        code,
        architecture: Architecture::Arm64,
        role: "role".into(),
        description: "description".into(),
        timeout_seconds: 7,
        memory_mb: 256,
        ephemeral_storage_mb: 1024,
        environment: Some([("KEY".to_owned(), "value".to_owned())].into()),
        kms_key_arn: Some("key".into()),
        tracing: Tracing::Active,
        logging: Logging {
            group: "group".into(),
            format: LogFormat::Json { application_level: "DEBUG".into(), system_level: "WARN".into() },
        },
        vpc: Some(Vpc { subnets: vec!["s".into()], security_groups: vec!["g".into()], ipv6_allowed: true }),
        dead_letter_arn: Some("queue".into()),
        file_systems: vec![FileSystem { arn: "access point".into(), mount_path: "/mnt/a".into() }],
        snap_start: SnapStart::PublishedVersions,
    }
}

fn zip() -> Code {
    let package = PackageRef { sha256: Digest::of(b"zip"), size: 3, unpacked_size: 30 };
    let layers = vec![LayerRef { arn: "layer:1".into(), package }];
    Code::Zip(ZipCode { package, runtime: "python3.13".into(), handler: "f.h".into(), layers })
}

fn image() -> Code {
    Code::Image(ImageCode {
        uri: "image".into(),
        entry_point: vec!["/entry".into()],
        command: vec!["command".into()],
        working_directory: Some("/work".into()),
    })
}

fn version(name: VersionName, config: FunctionConfig, status: Status) -> Arc<Version> {
    Arc::new(Version {
        name,
        config: Arc::new(config),
        revision_id: format!("revision of {name}"),
        last_modified: jiff::Timestamp::from_millisecond(1_700_000_000_123).unwrap(),
        status,
        published_from: Some(Digest::of(b"from")),
        target: None,
        packages: Vec::new(),
    })
}

fn qualified() -> Qualified {
    let last_modified = jiff::Timestamp::UNIX_EPOCH;
    Qualified {
        event_invoke: Some(EventInvokeConfig {
            max_retries: Some(1),
            max_age_seconds: Some(60),
            on_success: Some("queue".into()),
            on_failure: None,
            last_modified,
        }),
        runtime_management: Some(RuntimeManagement::default()),
        policy: vec![Statement { id: "sid".into(), document: "{}".into() }],
    }
}

fn url() -> FunctionUrl {
    let words = |word: &str| Some(vec![word.to_owned()]);
    let cors = Cors {
        allow_credentials: Some(true),
        allow_headers: words("x-a"),
        allow_methods: words("PUT"),
        allow_origins: words("https://a.test"),
        expose_headers: words("x-b"),
        max_age: Some(7),
    };
    FunctionUrl {
        id: "0123".into(),
        settings: UrlSettings {
            auth: UrlAuth::Iam,
            cors: Some(cors),
            invoke_mode: Some(InvokeMode::ResponseStream),
        },
        created: jiff::Timestamp::UNIX_EPOCH,
        last_modified: jiff::Timestamp::from_millisecond(1_700_000_000_123).unwrap(),
    }
}

fn function() -> Function {
    let (serving, reason) = (Arc::new(config(image())), "reason".to_owned());
    let numbered = [
        Status::Creating,
        Status::CreationFailed { reason: reason.clone() },
        Status::Updating { serving: Arc::clone(&serving) },
        Status::UpdateFailed { serving, reason },
    ];
    let numbered = (1..).zip(numbered);
    let alias = Alias {
        name: "live".into(),
        version: VersionName::Number(1),
        routing: Some(Route { version: VersionName::Latest, weight: 0.25 }),
        description: "d".into(),
        revision_id: "r".into(),
    };
    let provisioned = Provisioned { requested: 2, last_modified: jiff::Timestamp::UNIX_EPOCH };
    Function {
        key: FunctionKey::new("000000000000", "us-east-1", "f"),
        latest: version(VersionName::Latest, config(zip()), Status::Active),
        versions: numbered
            .map(|(number, status)| (number, version(VersionName::Number(number), config(image()), status)))
            .collect(),
        aliases: [("live".to_owned(), Arc::new(alias))].into(),
        last_published: 9,
        reserved_concurrency: Some(5),
        provisioned: [("live".to_owned(), Arc::new(provisioned))].into(),
        urls: [("$LATEST".to_owned(), Arc::new(url()))].into(),
        tags: [("team".to_owned(), "fire".to_owned())].into(),
        qualified: [("live".to_owned(), Arc::new(qualified()))].into(),
        settings: FunctionSettings {
            recursive_loop: Some(RecursiveLoop::Allow),
            code_signing_config: Some("csc".into()),
        },
    }
}

#[test]
fn a_function_is_read_as_it_was_written() {
    let (_folder, path) = database();
    let written = function();
    Store::open(&path).unwrap().put_function(None, &written).unwrap();
    let read = Store::open(&path).unwrap().functions().unwrap();
    assert_eq!(format!("{read:#?}"), format!("{:#?}", [written]));
}

#[test]
fn a_change_writes_what_differs_and_deletes_what_is_gone() {
    let (_folder, path) = database();
    let mut store = Store::open(&path).unwrap();
    let old = function();
    store.put_function(None, &old).unwrap();
    let mut new = old.clone();
    new.versions.remove(&1);
    new.aliases.clear();
    new.qualified.clear();
    new.settings = FunctionSettings::default();
    new.provisioned.clear();
    new.urls.clear();
    new.tags.clear();
    new.reserved_concurrency = None;
    new.latest = version(VersionName::Latest, config(image()), Status::Active);
    store.put_function(Some(&old), &new).unwrap();
    assert_eq!(format!("{:#?}", store.functions().unwrap()), format!("{:#?}", [&new]));
    store.delete_function(&new.key).unwrap();
    let left: i64 =
        store.connection.query_row("SELECT count(*) FROM versions", [], |row| row.get(0)).unwrap();
    assert_eq!((store.functions().unwrap().len(), left), (0, 0));
}

#[test]
fn a_newer_database_is_refused_by_name_of_its_schema() {
    let (_folder, path) = database();
    let connection = Store::open(&path).unwrap().connection;
    let known: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert_eq!(
        Store::open(&path).unwrap_err().to_string(),
        format!("the database was written by a newer hearth: its schema is 99, this one knows up to {known}")
    );
}

#[test]
fn a_record_that_means_nothing_is_told_with_its_owner() {
    let (_folder, path) = database();
    let mut store = Store::open(&path).unwrap();
    store.put_function(None, &function()).unwrap();
    store.connection.execute("UPDATE versions SET record = '{}' WHERE version = 0", []).unwrap();
    assert_eq!(
        store.functions().unwrap_err().to_string(),
        "the record of arn:aws:lambda:us-east-1:000000000000:function:f cannot be read: missing field \
         `revision_id` at line 1 column 2"
    );
}

#[test]
fn what_an_account_has_besides_functions_is_read_as_it_was_written() {
    let (_folder, path) = database();
    let place = Place { account: "000000000000".into(), region: "us-east-1".into() };
    let config = CodeSigningConfig {
        tags: BTreeMap::new(),
        id: "csc-1".into(),
        description: Some("d".into()),
        publishers: vec!["profile".into()],
        untrusted_artifact: "Warn".into(),
        last_modified: jiff::Timestamp::UNIX_EPOCH,
    };
    let mut store = Store::open(&path).unwrap();
    store.put_resource(&place, &CodeSigningConfig { description: None, ..config.clone() }).unwrap();
    store.put_resource(&place, &config).unwrap();
    drop(store);
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.resources().unwrap(), [(place.clone(), config)]);
    store.delete_resource::<CodeSigningConfig>(&place, "csc-1").unwrap();
    assert_eq!(store.resources::<CodeSigningConfig>().unwrap(), []);
}
