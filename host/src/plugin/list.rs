//! What `hearth backends` shows.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use hearth_core::foreign::Descriptor;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::search::{SearchPath, candidates};
use super::{LoadError, vet};

/// A file that is named like a backend.
#[derive(Debug)]
pub struct Found {
    /// Short name, by the name of the file.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What it says of itself, if it can be read.
    pub descriptor: Option<Descriptor>,
    /// Why this host would not load it.
    pub problem: Option<LoadError>,
    /// Whether a file of the same name lies in an earlier folder, so that this one is reached by its path only.
    pub is_shadowed: bool,
}

/// Every backend in the search path: in its order, and by name within a folder. Runs none of their code.
pub fn list(search_path: &SearchPath) -> Vec<Found> {
    let (mut names, mut files) = (HashSet::new(), HashSet::new());
    candidates(search_path)
        .into_iter()
        .filter(|(_, path)| is_new(path, &mut files))
        .map(|(name, path)| {
            let problem = vet::vet(&path, None).err().map(|problem| LoadError::new(&path, problem));
            let descriptor = vet::describe(&path).ok();
            Found { is_shadowed: !names.insert(name.clone()), name, path, descriptor, problem }
        })
        .collect()
}

/// Cargo puts the same file into two folders, under two links.
fn is_new(path: &Path, files: &mut HashSet<(u64, u64)>) -> bool {
    fs::metadata(path).map_or(true, |file| files.insert((file.dev(), file.ino())))
}

impl Found {
    /// One row for people: name, version, interface, capabilities (or what is wrong with it), file.
    pub fn columns(&self) -> [String; 5] {
        let of_descriptor =
            |show: fn(&Descriptor) -> String| self.descriptor.as_ref().map(show).unwrap_or_default();
        let capabilities = of_descriptor(|it| it.capabilities.names().collect::<Vec<_>>().join(" "));
        let shadowed = if self.is_shadowed { " (shadowed)" } else { "" };
        [
            self.name.clone(),
            of_descriptor(|it| it.version.clone()),
            of_descriptor(|it| format!("{}.{}", it.abi_major, it.abi_minor)),
            self.problem.as_ref().map_or(capabilities, |error| format!("unusable: {}", error.problem)),
            format!("{}{shadowed}", self.path.display()),
        ]
    }
}

impl Serialize for Found {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let descriptor = self.descriptor.as_ref();
        let mut shown = serializer.serialize_struct("Found", 9)?;
        shown.serialize_field("name", &self.name)?;
        shown.serialize_field("version", &descriptor.map(|it| &it.version))?;
        shown.serialize_field(
            "interface",
            &descriptor.map(|it| format!("{}.{}", it.abi_major, it.abi_minor)),
        )?;
        shown.serialize_field("core", &descriptor.map(|it| &it.core_version))?;
        shown.serialize_field("rustc", &descriptor.map(|it| &it.rustc_version))?;
        shown.serialize_field(
            "capabilities",
            &descriptor.map(|it| it.capabilities.names().collect::<Vec<_>>()),
        )?;
        shown.serialize_field("path", &self.path)?;
        shown.serialize_field("shadowed", &self.is_shadowed)?;
        shown.serialize_field("problem", &self.problem.as_ref().map(|error| error.problem.to_string()))?;
        shown.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_backend_is_listed_with_what_is_wrong_and_a_second_one_as_shadowed() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = "libhearth_backend_my_engine.so";
        let text = first.path().join(name);
        fs::write(&text, "not a library").unwrap();
        fs::hard_link(&text, first.path().join("libhearth_backend_same_file.so")).unwrap();
        fs::write(second.path().join(name), "not one either").unwrap();
        let plugin_dirs = vec![first.path().to_owned(), second.path().to_owned()];
        let found = list(&SearchPath { plugin_dirs, ..SearchPath::default() });
        let shown: Vec<[String; 5]> = found.iter().map(Found::columns).collect();
        let row = |file: String| {
            [
                "my-engine".to_owned(),
                String::new(),
                String::new(),
                "unusable: it is not a shared library".to_owned(),
                file,
            ]
        };
        let shadowed = format!("{} (shadowed)", second.path().join(name).display());
        assert_eq!(shown, [row(text.display().to_string()), row(shadowed)]);
        let json = serde_json::to_value(&found[0]).unwrap();
        assert_eq!(json["problem"], "it is not a shared library");
        assert_eq!(json["version"], serde_json::Value::Null);
    }
}
