//! The emulator as a program: it stands in front of a bootstrap, in a container or anywhere else. Used as
//! `aws-lambda-rie` is, it behaves like it; with a token in its environment it is a Hearth instance.
//!
//! Where nobody can mount the code, it is fetched first; `rie fetch` does no more than that.

mod console;
mod fetch;
mod orphans;
mod settings;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use hearth_rie::Instance;
use tokio::signal::unix::{SignalKind, signal};

use crate::console::Console;
use crate::fetch::Order;
use crate::settings::Settings;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // There is nobody left to tell if this cannot be written.
            drop(writeln!(std::io::stderr(), "rie: {message}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let order = Order::of(&std::env::vars_os().collect())?;
    if let Some(order) = &order {
        order.carry_out()?;
    }
    if std::env::args_os().nth(1).is_some_and(|first| first == "fetch") {
        let needed = "rie fetch: HEARTH_RIE_FETCH_URL is not set";
        return order.map(drop).ok_or_else(|| needed.to_owned());
    }
    let settings = Settings::of_process()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start: {error}"))?.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), String> {
    let cannot_listen = |error| format!("cannot handle signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot_listen)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot_listen)?;
    let addresses = format!("{} or {}", settings.listen, settings.runtime_api);
    let grace = settings.grace;
    let console = Arc::new(Console::default());
    let instance = Instance::start(settings.into_instance(console.clone()));
    let instance =
        Arc::new(instance.await.map_err(|error| format!("cannot listen on {addresses}: {error}"))?);
    let _orphans = orphans::adopt(instance.clone());
    let end = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        instance.shutdown(grace).await;
    };
    tokio::select! {
        () = end => {}
        () = console.run() => {}
    }
    console.flush();
    Ok(())
}
