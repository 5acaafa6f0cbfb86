//! Volumes of a pod: folders that are filled before the first container starts, and that follow what they show.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::Value;

use super::environment::{Circumstances, field};
use crate::admission::Quantity;
use crate::resource::{CONFIG_MAPS, Resource, SECRETS};
use crate::store::{Key, Store};

/// Why a volume is not there yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotMounted {
    pub(super) volume: String,
    pub(super) why: String,
}

/// The content of a volume that shows objects: bytes and mode by relative path.
type Files = BTreeMap<String, (Vec<u8>, u32)>;

/// Fills the volumes of a pod, under this folder; done again, it brings those up to date that show objects.
pub(super) fn fill(
    store: &Store,
    about: &Circumstances<'_>,
    token: &str,
    folder: &Path,
) -> Result<(), NotMounted> {
    let group =
        about.pod["spec"]["securityContext"]["fsGroup"].as_u64().and_then(|it| u32::try_from(it).ok());
    for volume in about.pod["spec"]["volumes"].as_array().into_iter().flatten() {
        let name = volume["name"].as_str().unwrap_or("");
        let refuse = |why: String| NotMounted { volume: name.to_owned(), why };
        let path = folder.join(name);
        let result = match files(store, about, token, volume).map_err(refuse)? {
            Some(files) => write_all(&path, &files, group),
            None => make_empty(&path, group, memory(volume)),
        };
        result.map_err(|error| refuse(error.to_string()))?;
    }
    Ok(())
}

/// How large an empty folder of memory is, in bytes; `None` if it is one of the disk.
fn memory(volume: &Value) -> Option<u64> {
    let source = &volume["emptyDir"];
    (source["medium"] == "Memory")
        .then(|| Quantity::of(&source["sizeLimit"]).map_or(u64::MAX, Quantity::units))
}

/// Gives back what is mounted for a pod's volumes.
pub(super) fn release(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Most are no mounts.
        let _ = umount2(&entry.path(), MntFlags::MNT_DETACH);
    }
}

/// Anybody may write into an empty folder. One of memory is full when it is full.
fn make_empty(path: &Path, group: Option<u32>, memory: Option<u64>) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    if let Some(size) = memory {
        let options = format!("size={}", size.min(1 << 40));
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(&*options))?;
    }
    chown(path, None, group)?;
    fs::set_permissions(path, Permissions::from_mode(if group.is_some() { 0o2777 } else { 0o777 }))
}

fn write_all(folder: &Path, files: &Files, group: Option<u32>) -> io::Result<()> {
    for (name, (content, mode)) in files {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|old| old == *content) {
            continue;
        }
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        // Readers see the old file or the new one.
        let new = path.with_extension("new");
        fs::write(&new, content)?;
        chown(&new, None, group)?;
        let mode = if group.is_some() { mode | 0o040 } else { *mode };
        fs::set_permissions(&new, Permissions::from_mode(mode))?;
        fs::rename(&new, &path)?;
    }
    fs::create_dir_all(folder)
}

/// What a volume shows; nothing if it is an empty folder.
fn files(
    store: &Store,
    about: &Circumstances<'_>,
    token: &str,
    volume: &Value,
) -> Result<Option<Files>, String> {
    let source = |kind: &str| Some(&volume[kind]).filter(|it| it.is_object());
    if let Some(secret) = source("secret") {
        return shown(store, about, &SECRETS, secret, "secretName").map(Some);
    }
    if let Some(map) = source("configMap") {
        return shown(store, about, &CONFIG_MAPS, map, "name").map(Some);
    }
    if let Some(downward) = source("downwardAPI") {
        return Ok(Some(downward_files(about, downward)));
    }
    let Some(projected) = source("projected") else { return Ok(None) };
    let mut all = Files::new();
    for part in projected["sources"].as_array().into_iter().flatten() {
        if part["secret"].is_object() {
            all.extend(shown(store, about, &SECRETS, &part["secret"], "name")?);
        } else if part["configMap"].is_object() {
            all.extend(shown(store, about, &CONFIG_MAPS, &part["configMap"], "name")?);
        } else if part["downwardAPI"].is_object() {
            all.extend(downward_files(about, &part["downwardAPI"]));
        } else if let Some(path) = part["serviceAccountToken"]["path"].as_str() {
            all.insert(path.to_owned(), (token.as_bytes().to_vec(), 0o644));
        }
    }
    Ok(Some(all))
}

fn mode(source: &Value) -> u32 {
    source["defaultMode"].as_u64().and_then(|it| u32::try_from(it).ok()).unwrap_or(0o644)
}

fn shown(
    store: &Store,
    about: &Circumstances<'_>,
    kind: &'static Resource,
    source: &Value,
    name: &str,
) -> Result<Files, String> {
    let namespace = about.pod["metadata"]["namespace"].as_str().unwrap_or("");
    let name = source[name].as_str().unwrap_or("");
    let Some(object) = store.get(&Key::new(kind, namespace, name)) else {
        let what = kind.kind.to_lowercase();
        return if source["optional"] == true {
            Ok(Files::new())
        } else {
            Err(format!("{what} {name:?} not found"))
        };
    };
    let content = |key: &str| -> Option<Vec<u8>> {
        let encoded = if *kind == SECRETS { &object["data"][key] } else { &object["binaryData"][key] };
        match encoded.as_str() {
            Some(text) => Some(BASE64_STANDARD.decode(text).unwrap_or_default()),
            None => object["data"][key].as_str().map(|text| text.as_bytes().to_vec()),
        }
    };
    if let Some(items) = source["items"].as_array() {
        let pairs = items.iter().filter_map(|it| Some((it["key"].as_str()?, it["path"].as_str()?)));
        return pairs
            .map(|(key, path)| {
                let content =
                    content(key).ok_or_else(|| format!("references non-existent secret key: {key}"))?;
                Ok((path.to_owned(), (content, mode(source))))
            })
            .collect();
    }
    let keys = [&object["data"], &object["binaryData"]].into_iter().filter_map(Value::as_object).flatten();
    Ok(keys.filter_map(|(key, _)| Some((key.clone(), (content(key)?, mode(source))))).collect())
}

fn downward_files(about: &Circumstances<'_>, source: &Value) -> Files {
    let items = source["items"].as_array().into_iter().flatten();
    let paths = items.filter_map(|it| Some((it["path"].as_str()?, it["fieldRef"]["fieldPath"].as_str()?)));
    paths.map(|(path, of)| (path.to_owned(), (field(about, of).into_bytes(), mode(source)))).collect()
}

/// The first empty folder that holds more than it may: its name and its limit.
pub(super) fn over_limit(pod: &Value, folder: &Path) -> Option<(String, String)> {
    pod["spec"]["volumes"].as_array()?.iter().find_map(|volume| {
        let limit = &volume["emptyDir"]["sizeLimit"];
        let most = Quantity::of(limit)?.units();
        let name = volume["name"].as_str()?;
        let path: PathBuf = folder.join(name);
        (size(&path) > most).then(|| (name.to_owned(), limit.as_str().unwrap_or("").to_owned()))
    })
}

fn size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let of_entry = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(of_entry).sum()
}
