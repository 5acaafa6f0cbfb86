//! The binary around the library.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use hearth_kube_double::{Double, Settings};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tokio::signal::unix::{SignalKind, signal};

/// A Kubernetes API and a node for tests
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to write what clients need
    #[arg(long)]
    kubeconfig: PathBuf,

    /// An archive of images, as `docker save` writes it
    #[arg(long)]
    images: Option<PathBuf>,

    /// A file that the machine's own image has in /programs; may be given more than once
    #[arg(long = "program", value_name = "FILE")]
    programs: Vec<PathBuf>,

    /// Tell each step of a pod's life so much later
    #[arg(long, default_value_t = 0)]
    kubelet_delay_ms: u64,

    /// The first pause before a container is started again or an image pulled again
    #[arg(long, default_value_t = 10_000)]
    back_off_ms: u64,

    /// How often the sizes of volumes are looked at
    #[arg(long, default_value_t = 10_000)]
    eviction_ms: u64,

    /// How long volumes take to follow a secret that changes
    #[arg(long, default_value_t = 60_000)]
    secrets_ms: u64,

    /// How long pods of a node without an object are left alone
    #[arg(long, default_value_t = 40_000)]
    orphans_ms: u64,

    /// What the node has
    #[arg(long, default_value = "8")]
    node_cpu: String,

    /// What the node has
    #[arg(long, default_value = "16Gi")]
    node_memory: String,

    /// The most pods that the node takes
    #[arg(long, default_value_t = 110)]
    node_pods: u32,

    /// End when standard input does
    #[arg(long)]
    until_stdin_ends: bool,
}

fn main() -> io::Result<std::process::ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = hearth_kube_double::run_step_of_runtime(&arguments) {
        return Ok(std::process::ExitCode::from(u8::try_from(code).unwrap_or(1)));
    }
    let arguments = Arguments::parse();
    keep_mounts_private()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&arguments))?;
    Ok(std::process::ExitCode::SUCCESS)
}

/// What is mounted for pods goes with the double, however it ends.
fn keep_mounts_private() -> io::Result<()> {
    let nothing: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    Ok(mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?)
}

#[expect(clippy::print_stdout, reason = "who starts it reads the addresses")]
async fn serve(arguments: &Arguments) -> io::Result<()> {
    let settings = Settings {
        images: arguments.images.clone(),
        programs: arguments.programs.clone(),
        kubelet_delay: Duration::from_millis(arguments.kubelet_delay_ms),
        back_off: Duration::from_millis(arguments.back_off_ms),
        eviction: Duration::from_millis(arguments.eviction_ms),
        secrets: Duration::from_millis(arguments.secrets_ms),
        orphans: Duration::from_millis(arguments.orphans_ms),
        node_cpu: arguments.node_cpu.clone(),
        node_memory: arguments.node_memory.clone(),
        node_pods: arguments.node_pods,
    };
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let double = Double::start(&settings).await?;
    double.write_kubeconfig(&arguments.kubeconfig)?;
    println!("api http://{}", double.api());
    println!("admin http://{}", double.admin());
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
        () = end_of_input(), if arguments.until_stdin_ends => {}
    }
    double.stop().await;
    Ok(())
}

/// On a thread of its own: a read that blocks cannot be cancelled.
async fn end_of_input() {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An error is an end as well.
        drop(io::stdin().read_to_end(&mut Vec::new()));
        let _ = ended.send(());
    });
    let _ = end.await;
}
