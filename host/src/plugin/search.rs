//! Where backends are looked for.

use std::collections::HashSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

const NAME_PREFIX: &str = "hearth_backend_";

/// The places where backends may be, first to last.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    /// From flags and configuration.
    pub plugin_dirs: Vec<PathBuf>,
    /// Value of `HEARTH_PLUGIN_PATH`: folders, separated as in `PATH`.
    pub plugin_path: Option<String>,
    /// Folder of the running program.
    pub exe_dir: Option<PathBuf>,
    /// `$XDG_DATA_HOME`, or what it defaults to.
    pub data_home: Option<PathBuf>,
}

/// Why there is no file for a name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The name can be no backend's.
    #[error(
        "`{0}` is not the name of a backend: use letters, digits and hyphens, or the path of a {DLL_SUFFIX} file"
    )]
    BadName(String),
    /// No folder has it.
    #[error(
        "there is no backend `{name}`: no {file_name} in {}; {}{}",
        joined(tried), available(seen), build.as_deref().map(|command| format!("; to build it: {command}")).unwrap_or_default()
    )]
    NotFound {
        /// As asked for.
        name: String,
        /// What was looked for.
        file_name: String,
        /// Where it was looked for.
        tried: Vec<PathBuf>,
        /// Names of those that are there.
        seen: Vec<String>,
        /// Command that builds it, if this program lies in a folder of cargo's.
        build: Option<String>,
    },
}

impl SearchPath {
    /// The folders, first to last, none of them twice.
    pub fn folders(&self) -> Vec<PathBuf> {
        let from_variable = self.plugin_path.iter().flat_map(std::env::split_paths);
        let beside_program = self
            .exe_dir
            .iter()
            .flat_map(|dir| [dir.clone(), dir.join("deps"), dir.join("../lib/hearth/backends")]);
        let of_user = self.data_home.iter().map(|dir| dir.join("hearth/backends"));
        let of_system = ["/usr/local/lib/hearth/backends", "/usr/lib/hearth/backends"].map(PathBuf::from);
        let mut known = HashSet::new();
        let all = self.plugin_dirs.iter().cloned().chain(from_variable).chain(beside_program).chain(of_user);
        all.chain(of_system)
            .filter(|dir| !dir.as_os_str().is_empty())
            .filter(|dir| known.insert(dir.clone()))
            .collect()
    }
}

/// The file of a backend, given by short name or by path. The first that exists is it, fit or not: taking a
/// later one instead would hide what is wrong with the first.
pub fn search(name_or_path: &str, search_path: &SearchPath) -> Result<PathBuf, SearchError> {
    if name_or_path.contains(MAIN_SEPARATOR) || name_or_path.ends_with(DLL_SUFFIX) {
        return Ok(PathBuf::from(name_or_path));
    }
    let is_name = !name_or_path.is_empty()
        && name_or_path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !is_name {
        return Err(SearchError::BadName(name_or_path.to_owned()));
    }
    let file_name = format!("{DLL_PREFIX}{NAME_PREFIX}{}{DLL_SUFFIX}", name_or_path.replace('-', "_"));
    let tried = search_path.folders();
    if let Some(path) = tried.iter().map(|dir| dir.join(&file_name)).find(|path| path.exists()) {
        return Ok(path);
    }
    let build = search_path.exe_dir.as_deref().and_then(|dir| build_command(dir, name_or_path));
    Err(SearchError::NotFound {
        name: name_or_path.to_owned(),
        file_name,
        tried,
        seen: names(search_path),
        build,
    })
}

/// Files that are named like backends.
pub(super) fn candidates(search_path: &SearchPath) -> Vec<(String, PathBuf)> {
    search_path.folders().iter().flat_map(|dir| candidates_in(dir)).collect()
}

fn candidates_in(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<_> =
        entries.filter_map(|entry| Some((short_name(&entry.path())?, entry.path()))).collect();
    found.sort();
    found
}

fn short_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_prefix(DLL_PREFIX)?.strip_prefix(NAME_PREFIX)?;
    Some(name.strip_suffix(DLL_SUFFIX)?.replace('_', "-"))
}

fn names(search_path: &SearchPath) -> Vec<String> {
    let mut names: Vec<String> = candidates(search_path).into_iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    names
}

/// Cargo marks its folders as ones that backups may leave out.
fn build_command(exe_dir: &Path, name: &str) -> Option<String> {
    let is_cargos = exe_dir.join("deps").is_dir() && exe_dir.parent()?.join("CACHEDIR.TAG").is_file();
    let release = if exe_dir.ends_with("release") { " --release" } else { "" };
    is_cargos.then(|| format!("cargo build{release} -p hearth-backend-{name}"))
}

fn joined(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn available(names: &[String]) -> String {
    if names.is_empty() {
        "no backends are there at all".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "libhearth_backend_my_engine.so";

    /// A folder with these empty files in it.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    #[test]
    fn folders_are_searched_from_the_most_to_the_least_specific() {
        let search_path = SearchPath {
            plugin_dirs: vec!["/flag".into(), "/config".into(), "/flag".into()],
            plugin_path: Some("/variable::/other".to_owned()),
            exe_dir: Some("/opt/bin".into()),
            data_home: Some("/home/me/.local/share".into()),
        };
        let folders: Vec<String> =
            search_path.folders().iter().map(|dir| dir.display().to_string()).collect();
        let expected = [
            "/flag",
            "/config",
            "/variable",
            "/other",
            "/opt/bin",
            "/opt/bin/deps",
            "/opt/bin/../lib/hearth/backends",
            "/home/me/.local/share/hearth/backends",
            "/usr/local/lib/hearth/backends",
            "/usr/lib/hearth/backends",
        ];
        assert_eq!(folders, expected);
    }

    #[test]
    fn the_first_file_of_that_name_is_taken() {
        let (empty, first, second) = (folder(&[]), folder(&[FILE]), folder(&[FILE]));
        let plugin_dirs = [&empty, &first, &second].map(|dir| dir.path().to_owned()).to_vec();
        let search_path = SearchPath { plugin_dirs, ..SearchPath::default() };
        assert_eq!(search("my-engine", &search_path), Ok(first.path().join(FILE)));
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        for path in ["./x", "/a/b.so", "c.so"] {
            assert_eq!(search(path, &SearchPath::default()), Ok(PathBuf::from(path)));
        }
        for name in ["", "a b", "x.y", "ü"] {
            assert_eq!(search(name, &SearchPath::default()), Err(SearchError::BadName(name.to_owned())));
        }
    }

    #[test]
    fn a_name_that_nobody_has_is_answered_with_where_it_was_looked_for_and_what_is_there() {
        let target = folder(&[
            "CACHEDIR.TAG",
            "release/deps/x",
            "release/libhearth_backend_mock.so",
            "release/other.so",
        ]);
        let exe_dir = target.path().join("release");
        let error = search("dokcer", &SearchPath { exe_dir: Some(exe_dir.clone()), ..SearchPath::default() });
        let exe_dir = exe_dir.display();
        assert_eq!(
            error.unwrap_err().to_string(),
            format!(
                "there is no backend `dokcer`: no libhearth_backend_dokcer.so in {exe_dir}, {exe_dir}/deps, \
                 {exe_dir}/../lib/hearth/backends, /usr/local/lib/hearth/backends, /usr/lib/hearth/backends; \
                 there are: mock; to build it: cargo build --release -p hearth-backend-dokcer"
            )
        );
    }
}
