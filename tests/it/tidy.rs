//! The house rules that the compiler does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// Which of our crates each of them may build on. A new arrow needs an ADR.
const ARROWS: [(&str, &[&str]); 12] = [
    ("hearth-core", &[]),
    ("hearth-pool", &[]),
    ("hearth-rie", &[]),
    ("hearth-artifacts", &["hearth-core"]),
    ("hearth-host", &["hearth-core", "hearth-pool"]),
    ("hearth-backend-process", &["hearth-artifacts", "hearth-core", "hearth-rie"]),
    ("hearth-containers", &["hearth-artifacts", "hearth-core"]),
    ("hearth-backend-docker", &["hearth-artifacts", "hearth-containers", "hearth-core", "hearth-rie"]),
    ("hearth-backend-k8s", &["hearth-artifacts", "hearth-containers", "hearth-core", "hearth-rie"]),
    ("hearth-backend-mock", &["hearth-core"]),
    ("hearth-kube-double", &["hearth-tests"]),
    ("hearth-xtask", &["hearth-tests"]),
];

/// A file that is longer holds more than one idea.
const MOST_LINES: usize = 600;

static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
});

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn packages() -> &'static Vec<Value> {
    METADATA["packages"].as_array().unwrap()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

fn manifest(package: &Value) -> String {
    fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap()
}

/// What a package depends on, in the tables for building or for its tests.
fn dependencies(package: &Value, for_tests: bool) -> BTreeSet<&str> {
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|dependency| (dependency["kind"] == "dev") == for_tests).map(name).collect()
}

/// Files of the repository with this extension: not what cargo built, nor what is hidden.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found.sort();
    found
}

#[track_caller]
fn check(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

#[test]
fn arrows_between_crates_point_one_way() {
    let arrows = BTreeMap::from(ARROWS);
    let mut violations = Vec::new();
    for package in packages().iter().filter(|package| name(package) != "hearth-tests") {
        let Some(allowed) = arrows.get(name(package)) else {
            violations.push(format!("{} is in no row of ARROWS", name(package)));
            continue;
        };
        for target in dependencies(package, false).into_iter().chain(dependencies(package, true)) {
            if target.starts_with("hearth-") && !allowed.contains(&target) {
                violations.push(format!("{} ─► {target}", name(package)));
            }
        }
    }
    check("arrows that the architecture does not have", &violations);
}

/// The harness is what `cargo xtask demo` builds first: it stays light and knows the host from outside only.
#[test]
fn the_harness_knows_the_host_from_outside_only() {
    let tests = packages().iter().find(|package| name(package) == "hearth-tests").unwrap();
    let ours: Vec<_> =
        dependencies(tests, false).into_iter().filter(|target| target.starts_with("hearth-")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

#[test]
fn the_pool_depends_on_nothing() {
    let pool = packages().iter().find(|package| name(package) == "hearth-pool").unwrap();
    assert_eq!(dependencies(pool, false), BTreeSet::new());
}

#[test]
fn every_crate_inherits_the_lints() {
    let without =
        packages().iter().filter(|package| !manifest(package).contains("[lints]\nworkspace = true\n"));
    check(
        "crates without the workspace's lints",
        &without.map(|package| name(package).to_owned()).collect::<Vec<_>>(),
    );
}

#[test]
fn versions_of_dependencies_are_in_the_root_manifest_only() {
    let mut violations = Vec::new();
    for package in packages() {
        let manifest = manifest(package);
        let mut in_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
            } else if in_dependencies
                && line.contains('=')
                && !line.starts_with('#')
                && !line.contains("workspace = true")
            {
                violations.push(format!("{}: {line}", name(package)));
            }
        }
    }
    check("dependencies that are not declared in the root manifest", &violations);
}

#[test]
fn a_module_has_its_file_beside_its_folder() {
    let found = files("rs").into_iter().filter(|path| path.ends_with("mod.rs"));
    check(
        "mod.rs; write foo.rs beside foo/",
        &found.map(|path| path.display().to_string()).collect::<Vec<_>>(),
    );
}

#[test]
fn files_are_short_enough_to_be_read() {
    let mut violations = Vec::new();
    for path in files("rs").into_iter().chain(files("py")) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > MOST_LINES {
            violations.push(format!("{}: {lines} lines", path.display()));
        }
    }
    check("files of more lines than a reader takes", &violations);
}

/// `docs/guarantees.md` names the test of each promise as `path/to/file.rs::name_of_the_test`, and
/// `docs/pool-pitfalls.md` that of each fault.
#[test]
fn each_guarantee_names_a_test_that_exists() {
    let [guarantees, pitfalls] = ["docs/guarantees.md", "docs/pool-pitfalls.md"].map(|page| {
        let text = fs::read_to_string(root().join(page)).unwrap();
        assert!(text.contains("::"), "{page} names no test");
        text
    });
    let texts = guarantees.split('`').chain(pitfalls.split('`'));
    let named: Vec<(&str, &str)> = texts.filter_map(|text| text.split_once("::")).collect();
    let mut violations = Vec::new();
    for (file, test) in named.into_iter().filter(|(file, _)| file.contains('/')) {
        let text = fs::read_to_string(root().join(file)).unwrap_or_default();
        if !text.contains(&format!("fn {test}(")) && !text.contains(&format!("def {test}(")) {
            violations.push(format!("{file}::{test}"));
        }
    }
    check("tests that a page of docs names and that do not exist", &violations);
}
