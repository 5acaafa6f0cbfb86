//! Images that the node has: those of an archive, and the machine's own file system.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use serde_json::Value;

const BUSYBOX: &str = "lab.local/busybox:1";
const MACHINE: &str = "lab.local/machine:1";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a container is made from.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    /// Topmost first.
    pub(super) layers: Vec<PathBuf>,
    pub(super) id: String,
    pub(super) entrypoint: Vec<String>,
    pub(super) command: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) folder: PathBuf,
    pub(super) user: u32,
}

#[derive(Debug)]
pub(crate) struct Images(BTreeMap<String, Image>);

impl Images {
    /// Unpacks an archive, as `docker save` writes it, into a folder. The machine's image has the programs in it as well.
    pub(crate) fn load(archive: Option<&Path>, programs: &[PathBuf], folder: &Path) -> io::Result<Self> {
        let mut machine = machine();
        if !programs.is_empty() {
            machine.layers.insert(0, with_programs(programs, &folder.join("programs"))?);
        }
        let mut all = BTreeMap::from([(MACHINE.to_owned(), machine.clone()), (BUSYBOX.to_owned(), machine)]);
        if let Some(archive) = archive {
            unpack(archive, folder)?;
            for (name, image) in read_manifest(folder)? {
                if let Some(busybox) = busybox(&image, folder)? {
                    all.insert(BUSYBOX.to_owned(), busybox);
                }
                all.insert(name, image);
            }
        }
        Ok(Self(all))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Image> {
        self.0.get(name)
    }
}

/// An image whose only layer is the machine.
fn machine() -> Image {
    Image {
        layers: vec![PathBuf::from("/")],
        id: format!("sha256:{:0>64}", 1),
        command: vec!["/bin/sh".to_owned()],
        env: BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]),
        folder: PathBuf::from("/"),
        ..Image::default()
    }
}

/// A layer with these files in `/programs`. Where they are on the machine, a pod may have something else, or its user
/// no right to look. In memory: no layer may lie inside another, and the machine's own is all of its disk.
fn with_programs(files: &[PathBuf], layer: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(layer)?;
    let nothing: Option<&str> = None;
    mount(Some("tmpfs"), layer, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, nothing)?;
    let folder = layer.join("programs");
    fs::create_dir(&folder)?;
    for file in files {
        let Some(name) = file.file_name() else { continue };
        fs::copy(file, folder.join(name))?;
    }
    Ok(layer.to_owned())
}

fn unpack(archive: &Path, folder: &Path) -> io::Result<()> {
    let mut outer = tar::Archive::new(File::open(archive)?);
    for entry in outer.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if path.file_name().is_some_and(|name| name == "layer.tar") {
            let layer = layer_folder(folder, &path);
            fs::create_dir_all(&layer)?;
            let mut layer_archive = tar::Archive::new(entry);
            layer_archive.set_preserve_permissions(true);
            layer_archive.set_overwrite(true);
            layer_archive.unpack(layer)?;
        } else {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            if let Some(name) = path.file_name() {
                fs::write(folder.join(name), content)?;
            }
        }
    }
    Ok(())
}

fn layer_folder(folder: &Path, layer: &Path) -> PathBuf {
    // A long name of each layer would soon fill what a mount takes as options.
    let digest = layer.display().to_string();
    folder.join(digest.get(..12).unwrap_or(&digest))
}

fn read_manifest(folder: &Path) -> io::Result<Vec<(String, Image)>> {
    let read =
        |name: &str| -> io::Result<Value> { Ok(serde_json::from_slice(&fs::read(folder.join(name))?)?) };
    let mut images = Vec::new();
    for entry in read("manifest.json")?.as_array().into_iter().flatten() {
        let config_file = entry["Config"].as_str().unwrap_or("").rsplit('/').next().unwrap_or("");
        let config = read(config_file)?;
        let layers = entry["Layers"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut layers: Vec<PathBuf> = layers.map(|layer| layer_folder(folder, Path::new(layer))).collect();
        layers.reverse();
        let digest = config_file.trim_end_matches(".json");
        let image = from_config(&config["config"], layers, digest);
        for tag in entry["RepoTags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            images.push((tag.to_owned(), image.clone()));
        }
    }
    Ok(images)
}

fn from_config(config: &Value, layers: Vec<PathBuf>, digest: &str) -> Image {
    let list = |name: &str| {
        let list = config[name].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let env = list("Env");
    let env = env
        .iter()
        .filter_map(|it| it.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Image {
        layers,
        id: format!("sha256:{digest}"),
        entrypoint: list("Entrypoint"),
        command: list("Cmd"),
        env: env.collect(),
        folder: PathBuf::from(config["WorkingDir"].as_str().filter(|it| !it.is_empty()).unwrap_or("/")),
        user: config["User"].as_str().and_then(|it| it.split(':').next()?.parse().ok()).unwrap_or(0),
    }
}

/// A small image out of one that has a static busybox.
fn busybox(image: &Image, folder: &Path) -> io::Result<Option<Image>> {
    let binary = image.layers.iter().map(|layer| layer.join("bin/busybox")).find(|path| path.is_file());
    let root = folder.join("busybox");
    let Some(binary) = binary.filter(|_| !root.exists()) else { return Ok(None) };
    for name in ["bin", "tmp", "www"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::copy(&binary, root.join("bin/busybox"))?;
    let list = Command::new(&binary).arg("--list").output()?;
    for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|name| *name != "busybox") {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet))?;
    }
    let env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]);
    let command = vec!["sh".to_owned()];
    let id = format!("sha256:{:0>64}", 2);
    Ok(Some(Image { layers: vec![root], id, command, env, folder: PathBuf::from("/"), ..Image::default() }))
}

/// Whether this is a name at all: lower case repositories, a tag of known letters.
pub(super) fn is_name(image: &str) -> bool {
    let (repository, tag) = match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, "latest"),
    };
    let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:".contains(c);
    let is_fit_tag = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    let path = repository.split('@').next().unwrap_or("");
    !path.is_empty() && path.chars().all(is_fit) && !tag.is_empty() && tag.chars().all(is_fit_tag)
}
