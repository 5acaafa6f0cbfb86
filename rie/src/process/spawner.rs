//! One thread starts all processes.
//!
//! `PR_SET_PDEATHSIG` kills a child when the *thread* that started it ends, and a runtime may end its threads
//! at any time. This one lives as long as the program. Starting a process blocks for about a millisecond as
//! well, which nobody else should notice.

use std::io;
use std::sync::{OnceLock, mpsc};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Order {
    command: Command,
    runtime: Handle,
    started: oneshot::Sender<io::Result<Child>>,
}

/// Starts a process; the calling runtime will be told when it ends.
pub(super) async fn spawn(command: Command) -> io::Result<Child> {
    let (started, receiver) = oneshot::channel();
    let order = Order { command, runtime: Handle::current(), started };
    let gone = || io::Error::other("the thread that starts processes is gone");
    thread()?.send(order).map_err(|_| gone())?;
    receiver.await.map_err(|_| gone())?
}

fn thread() -> io::Result<&'static mpsc::Sender<Order>> {
    static ORDERS: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    if let Some(orders) = ORDERS.get() {
        return Ok(orders);
    }
    let (sender, orders) = mpsc::channel();
    // If two callers come at once, the thread of the one that loses ends with its sender.
    std::thread::Builder::new().name("hearth-spawner".into()).spawn(move || serve(&orders))?;
    Ok(ORDERS.get_or_init(|| sender))
}

fn serve(orders: &mpsc::Receiver<Order>) {
    for mut order in orders {
        let _runtime = order.runtime.enter();
        let child = order.command.spawn();
        // A caller that has gone takes no delivery: the child is killed rather than forgotten.
        if let Err(Ok(mut child)) = order.started.send(child) {
            drop(child.start_kill());
        }
    }
}
