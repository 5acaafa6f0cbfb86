//! The layers of a function, merged: what is `/opt` on Lambda.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hearth_core::Artifact;

/// The folder with the layers, later ones on top. Built once for each list of layers, and never written to.
pub fn merged(state: &Path, layers: &[Artifact]) -> io::Result<PathBuf> {
    if let [only] = layers {
        return Ok(only.dir_path.clone().into());
    }
    let name = crate::folder::name_of(layers.iter().map(|layer| layer.sha256.as_str()));
    let folder = state.join("layers").join(name);
    if !folder.exists() {
        let fill = |new: &Path| layers.iter().try_for_each(|layer| lay_over(Path::new(&layer.dir_path), new));
        crate::folder::create(&folder, fill)?;
    }
    Ok(folder)
}

/// Puts everything in `from` into `to`. Files become second names of the same file where the file system
/// allows it.
fn lay_over(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !is_folder(&target) {
                remove(&target)?;
                fs::create_dir(&target)?;
                fs::set_permissions(&target, fs::Permissions::from_mode(0o755))?;
            }
            lay_over(&source, &target)?;
        } else {
            remove(&target)?;
            if kind.is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
            } else if fs::hard_link(&source, &target).is_err() {
                fs::copy(&source, &target)?;
            }
        }
    }
    Ok(())
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Whatever is there. That nothing is there is success.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(root: &Path, name: &str, files: &[(&str, &str)]) -> Artifact {
        let folder = root.join(name);
        for (file, content) in files {
            fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
            fs::write(folder.join(file), content).unwrap();
        }
        let dir_path = folder.to_str().unwrap().to_owned();
        Artifact { sha256: name.to_owned(), dir_path, ..Artifact::default() }
    }

    #[test]
    fn later_layers_win_folders_are_merged_and_links_stay_links() {
        let root = tempfile::tempdir().unwrap();
        let one = layer(root.path(), "one", &[("python/a.py", "1"), ("python/b.py", "1"), ("x", "file")]);
        let two = layer(root.path(), "two", &[("python/b.py", "2"), ("x/inside", "folder")]);
        std::os::unix::fs::symlink("b.py", root.path().join("two/python/c.py")).unwrap();
        let opt = merged(root.path(), &[one.clone(), two.clone()]).unwrap();
        let read = |file: &str| fs::read_to_string(opt.join(file)).unwrap();
        let merged_files = [read("python/a.py"), read("python/b.py"), read("python/c.py"), read("x/inside")];
        assert_eq!(merged_files, ["1", "2", "2", "folder"]);
        assert_eq!(fs::read_link(opt.join("python/c.py")).unwrap(), Path::new("b.py"));
        assert_eq!(
            fs::read_to_string(root.path().join("one/python/b.py")).unwrap(),
            "1",
            "layers stay as they are"
        );
        let other_way = merged(root.path(), &[two, one]).unwrap();
        assert_eq!(fs::read_to_string(other_way.join("x")).unwrap(), "file");
        assert_ne!(opt, other_way);
    }

    #[test]
    fn no_layer_is_an_empty_folder_and_one_layer_is_itself() {
        let root = tempfile::tempdir().unwrap();
        let one = layer(root.path(), "one", &[("x", "1")]);
        assert_eq!(fs::read_dir(merged(root.path(), &[]).unwrap()).unwrap().count(), 0);
        assert_eq!(merged(root.path(), std::slice::from_ref(&one)).unwrap(), Path::new(&one.dir_path));
    }
}
