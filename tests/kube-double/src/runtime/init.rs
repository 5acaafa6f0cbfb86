//! Process number 1 of a container, until it turns into the container's command.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, pivot_root, setgid, setgroups, sethostname, setsid, setuid};

use super::{Mount, Spec};

const NOTHING: Option<&str> = None;
/// More of them than this lead in a circle.
const MOST_LINKS: u32 = 40;
/// What the device folder of a container has.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// `init PIPE`: the specification comes over standard input, and what goes wrong is written to the pipe.
pub(super) fn run(arguments: &[String]) -> io::Result<i32> {
    let [pipe] = arguments else { return Err(io::Error::other("one argument")) };
    // Opened anew, it closes by itself when the command begins.
    let mut problem = OpenOptions::new().write(true).open(format!("/proc/self/fd/{pipe}"))?;
    nix::unistd::close(pipe.parse::<i32>().map_err(io::Error::other)?)?;
    let error = match become_container() {
        Ok(never) => match never {},
        Err(error) => error,
    };
    problem.write_all(error.to_string().as_bytes())?;
    Ok(1)
}

fn become_container() -> io::Result<std::convert::Infallible> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    let spec: Spec = serde_json::from_slice(&text)?;
    for group in &spec.limits.groups {
        fs::write(group.join("cgroup.procs"), "0")?;
    }
    // A signal to its own group shall reach nobody outside.
    setsid()?;
    umask(Mode::empty());
    let root = mount_root(&spec)?;
    fill_root(&root, &spec)?;
    if spec.root.is_read_only {
        seal(&root)?;
    }
    enter(&root)?;
    sethostname(&spec.hostname)?;
    become_command(&spec)
}

fn explain<T, E: std::fmt::Display>(result: Result<T, E>, what: impl std::fmt::Display) -> io::Result<T> {
    result.map_err(|error| io::Error::other(format!("{what}: {error}")))
}

/// An overlay whose upper layer is in memory, so that a layer may be the machine's own root.
fn mount_root(spec: &Spec) -> io::Result<PathBuf> {
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
    let scratch = &spec.root.scratch;
    mount(Some("tmpfs"), scratch, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    let [upper, work, root] = ["upper", "work", "root"].map(|name| scratch.join(name));
    for folder in [&upper, &work, &root] {
        fs::create_dir(folder)?;
        // What the upper layer may be written by, the root may.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    let layers: Vec<String> = spec.root.layers.iter().map(|it| it.display().to_string()).collect();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", layers.join(":"), upper.display(), work.display());
    explain(
        mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(&*options)),
        options.clone(),
    )?;
    Ok(root)
}

fn fill_root(root: &Path, spec: &Spec) -> io::Result<()> {
    for name in ["proc", "sys", "dev", "etc"] {
        fs::create_dir_all(inside(root, Path::new(name)))?;
    }
    let limits = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &root.join("proc"), Some("proc"), limits, NOTHING)?;
    bind(Path::new("/sys"), &root.join("sys"), true)?;
    fill_devices(&root.join("dev"))?;
    let hosts = format!("127.0.0.1\tlocalhost\n{}\t{}\n", spec.address, spec.hostname);
    let servers = fs::read("/etc/resolv.conf").unwrap_or_default();
    for (name, content) in [("etc/hosts", hosts.into_bytes()), ("etc/resolv.conf", servers)] {
        // Either may be a link to something of the machine's; it need not be there.
        drop(fs::remove_file(root.join(name)));
        fs::write(root.join(name), content)?;
    }
    for it in &spec.mounts {
        explain(mount_volume(root, it), it.target.display())?;
    }
    let folder = inside(root, &spec.command.folder);
    explain(fs::create_dir_all(&folder), spec.command.folder.display())
}

fn fill_devices(dev: &Path) -> io::Result<()> {
    mount(Some("tmpfs"), dev, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755"))?;
    for name in DEVICES {
        let target = dev.join(name);
        fs::write(&target, "")?;
        bind(&Path::new("/dev").join(name), &target, false)?;
    }
    fs::create_dir(dev.join("shm"))?;
    let limits = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("shm"), &dev.join("shm"), Some("tmpfs"), limits, Some("mode=1777,size=64m"))?;
    for (number, name) in ["stdin", "stdout", "stderr"].iter().enumerate() {
        std::os::unix::fs::symlink(format!("/proc/self/fd/{number}"), dev.join(name))?;
    }
    std::os::unix::fs::symlink("/proc/self/fd", dev.join("fd"))
}

/// Where a path of the container is on the machine. Links on the way are the container's: none leads out of its root.
fn inside(root: &Path, target: &Path) -> PathBuf {
    let mut ahead: Vec<PathBuf> = vec![target.to_owned()];
    let mut path = PathBuf::new();
    let mut links = 0;
    while let Some(next) = ahead.pop() {
        let mut parts = next.components();
        let Some(part) = parts.next() else { continue };
        ahead.push(parts.as_path().to_owned());
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => drop(path.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
        }
        if let Ok(link) = fs::read_link(root.join(&path)) {
            links += 1;
            path.pop();
            if link.is_absolute() {
                path.clear();
            }
            if links <= MOST_LINKS {
                ahead.push(link);
            }
        }
    }
    root.join(path)
}

fn mount_volume(root: &Path, it: &Mount) -> io::Result<()> {
    let target = inside(root, &it.target);
    if it.source.is_dir() {
        fs::create_dir_all(&target)?;
    } else {
        fs::create_dir_all(target.parent().unwrap_or(root))?;
        OpenOptions::new().create(true).append(true).open(&target)?;
    }
    bind(&it.source, &target, it.is_read_only)
}

fn bind(source: &Path, target: &Path, is_read_only: bool) -> io::Result<()> {
    mount(Some(source), target, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING)?;
    if is_read_only {
        seal(target)?;
    }
    Ok(())
}

fn seal(target: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    Ok(mount(NOTHING, target, NOTHING, flags, NOTHING)?)
}

/// The container's root takes the place of the machine's, which goes.
fn enter(root: &Path) -> io::Result<()> {
    std::env::set_current_dir(root)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")
}

fn become_command(spec: &Spec) -> io::Result<std::convert::Infallible> {
    let command = &spec.command;
    umask(Mode::from_bits_truncate(0o022));
    let groups: Vec<Gid> = command.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)?;
    setgid(Gid::from_raw(command.group))?;
    setuid(Uid::from_raw(command.user))?;
    if !command.may_gain {
        prctl::set_no_new_privs()?;
    }
    // After the change of user, which takes it back. The shim may not outlive it, nor it the shim.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    explain(std::env::set_current_dir(&command.folder), command.folder.display())?;
    let [program, arguments @ ..] = &command.line[..] else {
        return Err(io::Error::other("no command specified"));
    };
    let error =
        Command::new(program).args(arguments).env_clear().envs(&command.env).stdin(Stdio::null()).exec();
    Err(io::Error::other(format!("exec: {program:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_of_a_container_do_not_lead_out_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("var")).unwrap();
        symlink("/run", root.join("var/run")).unwrap();
        symlink("../../../../etc", root.join("up")).unwrap();
        symlink("/circle", root.join("circle")).unwrap();
        for (target, expected) in [
            ("/var/run/secrets", "run/secrets"),
            ("/up/passwd", "etc/passwd"),
            ("/../../tmp", "tmp"),
            ("/var/task", "var/task"),
            ("/circle", ""),
        ] {
            assert_eq!(inside(root, Path::new(target)), root.join(expected), "{target}");
        }
    }
}
