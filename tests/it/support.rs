//! What the suites share.

use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hearth_tests::{Answer, Binaries, Client, Launch, NewFunction, Process, wait_until, zip_of};

/// How long anything that must happen may take until a test gives up.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Answers with its event.
pub(crate) const ECHO: &str = "def handler(event, context):\n    return event\n";

/// Makes the file `started` in the folder that its event names, and ends once `go-on` is there.
pub(crate) const WAITS: &str = "
import pathlib, time

def handler(event, context):
    (pathlib.Path(event) / 'started').touch()
    while not (pathlib.Path(event) / 'go-on').exists():
        time.sleep(0.01)
    return 'finished'
";

/// A host that is still to be started.
pub(crate) fn launch() -> Launch {
    static BINARIES: LazyLock<Binaries> = LazyLock::new(|| Binaries::find().unwrap());
    Launch::new(BINARIES.clone())
}

/// Deploys a function of Python and waits until it can be invoked.
pub(crate) fn deploy(client: &Client, name: &str, source: &str) {
    let zip = zip_of(&[("handler.py", source)]).unwrap();
    client
        .create(NewFunction {
            name,
            runtime: "python3.13",
            handler: "handler.handler",
            zip: &zip,
            timeout_seconds: 60,
        })
        .unwrap();
}

/// Invokes a function in the background, with the path of a folder as its event.
pub(crate) fn invoke_with_folder(
    client: &Client,
    name: &str,
    folder: &Path,
) -> JoinHandle<hearth_tests::Result<Answer>> {
    let (client, name, event) = (client.clone(), name.to_owned(), format!("\"{}\"", folder.display()));
    thread::spawn(move || client.invoke(&name, event.as_bytes()))
}

/// Waits until a function has made a file.
pub(crate) fn wait_for_file(path: &Path) {
    wait_until(&format!("{} to be made", path.display()), LIMIT, || path.exists().then_some(())).unwrap();
}

/// Waits until none of these processes runs any more.
pub(crate) fn wait_until_gone(processes: &[Process]) {
    let gone = || processes.iter().all(|process| !process.is_alive()).then_some(());
    wait_until(&format!("the end of {processes:?}"), LIMIT, gone).unwrap();
}

/// Says that something is not tested here, past the harness, which keeps to itself what a test that passes has printed.
#[expect(clippy::explicit_write, reason = "what is printed is kept from sight")]
pub(crate) fn leave_out(what: &str, why: &str) {
    writeln!(std::io::stderr(), "left out: {what}: {why}").unwrap();
}
