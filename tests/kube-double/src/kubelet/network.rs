//! Addresses of pods. Each pod has a pair of virtual links of which one end is in its own network namespace: when that
//! ends the pair is gone, and nothing has to be cleaned up.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::runtime::PAUSE;

/// The addresses of one double: the first is the machine's, the others are for pods.
#[derive(Debug)]
pub(crate) struct Network {
    third: u8,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    last: u8,
    all: BTreeSet<u8>,
}

/// A network namespace with an address; dropping it ends it.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) address: Ipv4Addr,
    pub(super) pid: u32,
    /// Ends with its standard input.
    _pause: Child,
    network: Arc<Network>,
}

impl Network {
    pub(crate) fn new(third: u8) -> Arc<Self> {
        Arc::new(Self { third, used: Mutex::default() })
    }

    /// The machine's own address in it.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        gateway(self.third)
    }

    /// An address that was not in use lately.
    fn take(&self) -> io::Result<u8> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let candidates = (used.last..=254).chain(0..=254).filter(|it| *it >= 2);
        let free = candidates.skip(1).find(|it| !used.all.contains(it));
        let number = free.ok_or_else(|| io::Error::other("no address is left"))?;
        used.last = number;
        used.all.insert(number);
        Ok(number)
    }

    fn give_back(&self, number: u8) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).all.remove(&number);
    }

    pub(super) async fn open(self: &Arc<Self>) -> io::Result<Sandbox> {
        let number = self.take()?;
        let opened = self.start(number).await;
        opened.inspect_err(|_| self.give_back(number))
    }

    async fn start(self: &Arc<Self>, number: u8) -> io::Result<Sandbox> {
        let gateway = self.gateway();
        let address = Ipv4Addr::new(10, 77, self.third, number);
        let link = format!("kd{}-{number}", self.third);
        let mut pause = Command::new("/proc/self/exe");
        pause.arg(PAUSE).arg(&link).arg(address.to_string()).arg(gateway.to_string());
        let mut pause = pause.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let pid = pause.id().ok_or_else(|| io::Error::other("the sandbox ended at once"))?;
        let output = pause.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await?;
        if line != "ready\n" {
            return Err(io::Error::other("the network namespace could not be made"));
        }
        ip(&format!("link set {link} up\nroute add {address}/32 dev {link} src {gateway}\n")).await?;
        // What comes out of this link may go to other pods, whatever the machine does otherwise.
        fs::write(format!("/proc/sys/net/ipv4/conf/{link}/forwarding"), "1")?;
        Ok(Sandbox { address, pid, _pause: pause, network: Arc::clone(self) })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.network.give_back(self.address.octets()[3]);
    }
}

pub(crate) fn gateway(third: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, third, 1)
}

/// Gives the machine an address; it may have it already.
pub(crate) async fn add_machine_address(address: Ipv4Addr) -> io::Result<()> {
    ip(&format!("addr replace {address}/32 dev lo\n")).await
}

/// Lets packets pass between pods where a container engine has seen to it that none do. The rule stays: it is about links
/// of doubles alone.
pub(crate) async fn open_firewall() {
    const RULE: [&str; 7] = ["FORWARD", "-i", "kd+", "-o", "kd+", "-j", "ACCEPT"];
    let iptables = async |action: &str| {
        let mut command = Command::new("iptables");
        command.args(["--wait", action]).args(RULE).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().await.is_ok_and(|status| status.success())
    };
    // Without the program there is nothing in the way.
    if !iptables("--check").await {
        iptables("--insert").await;
    }
}

pub(crate) async fn remove_machine_address(address: Ipv4Addr) -> io::Result<()> {
    ip(&format!("addr del {address}/32 dev lo\n")).await
}

async fn ip(batch: &str) -> io::Result<()> {
    let mut command = Command::new("ip");
    let command =
        command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| io::Error::other(format!("cannot run ip (of iproute2): {error}")))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(batch.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {}: {}", batch.trim(), why.trim())))
}
