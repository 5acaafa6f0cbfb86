//! Finds the interpreter of a runtime: the version that was asked for if it is anywhere, another one otherwise.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hearth_core::{BackendError, ErrorKind, Result};
use tokio::process::Command;
use tokio::time::timeout;

use crate::config::{Config, Places};
use crate::runtime::Runtime;

/// An interpreter that was started once, and said what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// The executable itself, however it was found.
    pub(crate) path: PathBuf,
    /// As it says itself: `3.13.0`.
    pub(crate) version: String,
}

/// Knows every interpreter that was found so far.
#[derive(Debug)]
pub(crate) struct Interpreters {
    configured: BTreeMap<String, PathBuf>,
    places: Places,
    found: Mutex<HashMap<String, Arc<Interpreter>>>,
}

/// How long an interpreter may take to say its version.
const PATIENCE: Duration = Duration::from_secs(20);

impl Interpreters {
    pub(crate) fn new(config: &Config, places: Places) -> Self {
        Self { configured: config.interpreters.clone(), places, found: Mutex::default() }
    }

    /// The interpreter for a runtime, which goes by `name` on Lambda.
    pub(crate) async fn find(&self, name: &str, runtime: &Runtime) -> Result<Arc<Interpreter>> {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(known) = known.filter(|interpreter| interpreter.path.exists()) {
            return Ok(known);
        }
        let found = Arc::new(self.search(name, runtime).await?);
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), found.clone());
        Ok(found)
    }

    async fn search(&self, name: &str, runtime: &Runtime) -> Result<Interpreter> {
        if let Some(path) = self.configured.get(name) {
            return ask(path, runtime).await.ok_or_else(|| {
                let path = path.display();
                rejected(format!(
                    "`interpreters.\"{name}\"` names {path}, which is not a working interpreter"
                ))
            });
        }
        let candidates = candidates(runtime, &self.places);
        let mut second_best = None;
        for path in candidates.iter().filter(|path| path.is_file()) {
            let Some(interpreter) = ask(path, runtime).await else { continue };
            if interpreter.serves(runtime) {
                return Ok(interpreter);
            }
            second_best.get_or_insert(interpreter);
        }
        let Some(other) = second_best else { return Err(nothing_found(name, runtime, &candidates)) };
        tracing::warn!(
            runtime = name, interpreter = %other.path.display(), version = other.version,
            "the version that was asked for is not on this machine; another one is used"
        );
        Ok(other)
    }
}

impl Interpreter {
    /// Whether it is of the version that was asked for.
    fn serves(&self, runtime: &Runtime) -> bool {
        let (Runtime::Python(wanted) | Runtime::Node(wanted)) = runtime else { return true };
        self.version
            .strip_prefix(wanted.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// All places where the interpreter may be: first those that say the right version in their name.
fn candidates(runtime: &Runtime, places: &Places) -> Vec<PathBuf> {
    let in_path = |name: &str| places.path.iter().map(|folder| folder.join(name)).collect::<Vec<_>>();
    let home = |folder: &str| places.home.as_ref().map(|home| home.join(folder));
    match runtime {
        Runtime::Python(version) => {
            let exact = format!("python{version}");
            let program = Path::new("bin").join(&exact);
            let mut all = in_path(&exact);
            all.extend(versions_in(home(".pyenv/versions"), version, &program));
            let uv = home(".local/share/uv/python");
            all.extend(versions_in(uv, &format!("cpython-{version}"), &program));
            all.extend(in_path("python3"));
            all
        }
        Runtime::Node(major) => {
            let mut all = in_path("node");
            all.extend(versions_in(home(".nvm/versions/node"), &format!("v{major}"), Path::new("bin/node")));
            all.extend(versions_in(
                home(".local/share/fnm/node-versions"),
                &format!("v{major}"),
                Path::new("installation/bin/node"),
            ));
            all
        }
        Runtime::Provided => Vec::new(),
    }
}

/// The programs of those installed versions whose folder begins with `version`, newest first.
fn versions_in(folder: Option<PathBuf>, version: &str, program: &Path) -> Vec<PathBuf> {
    let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let fits =
        |name: &str| name.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let mut found: Vec<_> = entries.map(|entry| entry.path()).collect();
    found.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(fits));
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.into_iter().map(|path| path.join(program)).collect()
}

/// Has an interpreter say where and what it is. Scripts that choose among versions may fail here.
async fn ask(path: &Path, runtime: &Runtime) -> Option<Interpreter> {
    let question: &[&str] = match runtime {
        Runtime::Python(_) => {
            &["-I", "-c", "import sys; print(sys.executable); print('%d.%d.%d' % sys.version_info[:3])"]
        }
        Runtime::Node(_) => &["-e", "console.log(process.execPath); console.log(process.versions.node)"],
        Runtime::Provided => return None,
    };
    let mut command = Command::new(path);
    command.args(question).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (executable, version) = text.trim_end().split_once('\n')?;
    let executable = PathBuf::from(executable);
    let interpreter = Interpreter { path: executable, version: version.to_owned() };
    (output.status.success() && interpreter.path.is_absolute()).then_some(interpreter)
}

fn nothing_found(name: &str, runtime: &Runtime, candidates: &[PathBuf]) -> BackendError {
    let looked_for: Vec<_> = candidates.iter().map(|path| path.display().to_string()).collect();
    rejected(format!(
        "the runtime {name} needs {runtime}, which is not on this machine: install it, or name it with \
         `interpreters.\"{name}\"` in the section [backends.process]"
    ))
    .with_meta("looked.for", looked_for.join(":"))
}

fn rejected(message: String) -> BackendError {
    BackendError::new(ErrorKind::SPEC_REJECTED, message)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder of scripts that answer like interpreters.
    fn folder(programs: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, version) in programs {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let answer =
                if version.is_empty() { "exit 127".to_owned() } else { format!("echo $0; echo {version}") };
            fs::write(&path, format!("#!/bin/sh\n{answer}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    }

    async fn find(name: &str, places: Places, config: Config) -> Result<String> {
        let interpreters = Interpreters::new(&config, places);
        let found = interpreters.find(name, &Runtime::parse(name).unwrap()).await?;
        Ok(format!("{} {}", found.path.file_name().unwrap().display(), found.version))
    }

    #[tokio::test]
    async fn the_version_that_was_asked_for_goes_before_any_other() {
        let path = folder(&[("python3.12", ""), ("python3", "3.11.2"), ("node", "20.1.0")]);
        let home = folder(&[
            (".pyenv/versions/3.13.0/bin/python3.13", "3.13.0"),
            (".pyenv/versions/3.1.9/bin/python3.1", "3.1.9"),
            (".nvm/versions/node/v22.3.0/bin/node", "22.3.0"),
        ]);
        let places = Places { path: vec![path.path().into()], home: Some(home.path().into()) };
        let found = async |name| find(name, places.clone(), Config::default()).await.unwrap();
        assert_eq!(found("python3.13").await, "python3.13 3.13.0");
        assert_eq!(found("python3.12").await, "python3 3.11.2", "what does not work is passed over");
        assert_eq!(found("python3.1").await, "python3.1 3.1.9");
        assert_eq!(found("nodejs22.x").await, "node 22.3.0");
        assert_eq!(found("nodejs24.x").await, "node 20.1.0");
    }

    #[tokio::test]
    async fn what_is_configured_is_used_or_refused_and_what_is_missing_is_named() {
        let path = folder(&[("mine", "3.9.1"), ("broken", "")]);
        let places = Places { path: Vec::new(), home: None };
        let configured = |file: &str| Config {
            interpreters: [("python3.13".to_owned(), path.path().join(file))].into(),
            ..Config::default()
        };
        assert_eq!(find("python3.13", places.clone(), configured("mine")).await.unwrap(), "mine 3.9.1");
        let broken = find("python3.13", places.clone(), configured("broken")).await.unwrap_err();
        assert!(broken.message.ends_with("which is not a working interpreter"), "{broken}");
        let missing = find("nodejs22.x", places, Config::default()).await.unwrap_err();
        assert!(
            missing.message.starts_with("the runtime nodejs22.x needs Node.js 22, which is not"),
            "{missing}"
        );
        assert_eq!(missing.kind, ErrorKind::SPEC_REJECTED);
    }
}
