//! What the first invocation after a rest takes: of a process that the emulator has stopped, which is the default, and
//! of a container that the engine has paused.

use std::time::Duration;

use hearth_tests::{Binaries, Client, Explain, Host, Launch, Result, Stopwatch, wait_until};

use super::{EVENT, LIMIT, NAME, deploy};
use crate::figures::median;
use crate::report;

const ROUNDS: usize = 20;
/// Much longer than it takes until the emulator stops a process.
const REST: Duration = Duration::from_millis(100);

/// Medians in milliseconds: after a stop by the emulator, and after a pause by the engine.
pub(super) fn measure(default: &Host, socket: &str, runtime: &str, zip: &[u8]) -> Result<(f64, f64)> {
    let folder = tempfile::tempdir().explain("cannot make a folder")?;
    let config = folder.path().join("hearth.toml");
    let settings = "[pool]\npause_idle_after_seconds = 0.01\n";
    std::fs::write(&config, settings).explain("cannot write the settings")?;
    let launch = Launch::new(Binaries::find()?).env("DOCKER_HOST", format!("unix://{socket}"));
    let pausing =
        launch.backend("docker").args(["--config".to_owned(), config.display().to_string()]).start()?;
    deploy(&pausing.client(), NAME, runtime, zip)?;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        report(&format!("rested round {} of {ROUNDS}", round + 1));
        times[0].push(after_a_rest(&default.client(), "idle")?);
        times[1].push(after_a_rest(&pausing.client(), "paused")?);
    }
    pausing.stop()?;
    let [stopped, paused] = times.map(median);
    Ok((stopped, paused))
}

fn after_a_rest(client: &Client, state: &str) -> Result<f64> {
    let rests = || {
        let instances = client.instances().ok()?;
        instances
            .iter()
            .any(|instance| instance["function"] == NAME && instance["state"] == state)
            .then_some(())
    };
    client.invoke(NAME, EVENT.as_bytes())?.ok()?;
    wait_until("the instance to rest", LIMIT, rests)?;
    hearth_tests::pause(REST);
    let invoking = Stopwatch::start();
    client.invoke(NAME, EVENT.as_bytes())?.ok()?;
    Ok(invoking.elapsed().as_secs_f64() * 1e3)
}
