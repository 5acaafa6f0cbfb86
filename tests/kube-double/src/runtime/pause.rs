//! Holds a network namespace: `pause MACHINES-END ADDRESS GATEWAY`, until its input ends.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;

pub(super) fn run(arguments: &[String]) -> io::Result<i32> {
    let [link, address, gateway] = arguments else { return Err(io::Error::other("three arguments")) };
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let machine = std::os::unix::process::parent_id();
    configure(&format!(
        "link add eth0 type veth peer name {link} netns {machine}\n\
         addr add {address}/32 dev eth0\n\
         link set lo up\n\
         link set eth0 up\n\
         route add {gateway}/32 dev eth0 scope link\n\
         route add default via {gateway} dev eth0\n"
    ))?;
    io::stdout().write_all(b"ready\n")?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(0)
}

fn configure(batch: &str) -> io::Result<()> {
    let mut ip =
        Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    if let Some(mut input) = ip.stdin.take() {
        input.write_all(batch.as_bytes())?;
    }
    let status = ip.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("ip: {status}"))) }
}
