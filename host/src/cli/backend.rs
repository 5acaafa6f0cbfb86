//! `hearth backend`: for those who write backends.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;

use crate::config;
use crate::conformance::{self, Function, Options};
use crate::plugin::{self, SearchPath};

use super::{Cli, template};

/// What is logged by a backend's process while it is checked, beside what the backend itself says.
const QUIET: &str = "error";

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Try every promise of the backend interface on a library
    Check {
        /// The library, or the name of a backend that `hearth backends` finds
        backend: String,
        /// Settings: a file as hearth reads it, of which the section [backends.NAME] counts
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        function: Runs,
        /// Seconds for which instances are launched and ended to see whether anything grows
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        soak: u64,
        /// Run it in a process of its own, as `hearth --isolate-backend` does
        #[arg(long)]
        isolate: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a project with a whole backend in it, ready to build
    New {
        /// Short name: lower-case letters, digits and hyphens
        name: String,
        /// Where to; a folder of that name here unless given
        #[arg(long, value_name = "FOLDER")]
        path: Option<PathBuf>,
    },
    /// Launch an instance and wait to be killed (a part of `check`)
    #[command(hide = true)]
    Hold {
        library: PathBuf,
        folder: PathBuf,
        owner: String,
        #[arg(long, default_value = "")]
        config_json: String,
        #[command(flatten)]
        function: Runs,
        #[arg(long)]
        isolate: bool,
    },
    /// Hold a backend for the hearth at the other end of standard input (a part of `--isolate-backend`)
    #[command(hide = true)]
    Host { library: PathBuf },
}

/// What the instances run while a backend is checked.
#[derive(Args, Clone, Debug)]
pub(super) struct Runs {
    /// The runtime of the function; provided.* needs sh and curl where it runs
    #[arg(long, value_name = "RUNTIME", default_value = "provided.al2023", conflicts_with = "image")]
    runtime: String,
    /// An image of a function that answers with its event, instead of a runtime
    #[arg(long, value_name = "URI")]
    image: Option<String>,
}

impl Runs {
    fn function(self) -> Function {
        self.image.map_or(Function::Runtime(self.runtime), Function::Image)
    }
}

impl Command {
    pub(super) fn run(self, cli: &Cli, search: &SearchPath) -> Result<ExitCode, String> {
        match self {
            Self::Check { backend, config, function, soak, isolate, json } => {
                let library = plugin::search(&backend, search).map_err(|error| error.to_string())?;
                let config_json = match config {
                    Some(file) => section(&file, &library)?,
                    None => String::new(),
                };
                let (function, soak) = (function.function(), Duration::from_secs(soak));
                let isolate = isolate.then(|| cli.again(QUIET));
                check(&Options { library, config_json, function, soak, isolate }, json)
            }
            Self::New { name, path } => new(&name, path),
            Self::Hold { library, folder, owner, config_json, function, isolate } => {
                let (function, isolate) = (function.function(), isolate.then(|| cli.again(QUIET)));
                let options = Options { library, config_json, function, soak: Duration::ZERO, isolate };
                hold(&options, &folder, &owner)
            }
            Self::Host { library } => {
                cli.start_logging()?;
                host(&library)
            }
        }
    }
}

/// The part of a settings file that is the backend's, as JSON.
fn section(file: &Path, library: &Path) -> Result<String, String> {
    let name = plugin::describe(library).map_err(|error| error.to_string())?.name;
    config::backend_section(file, &name).map_err(|error| error.to_string())
}

#[expect(clippy::print_stdout, reason = "this is what the command prints")]
fn check(options: &Options, json: bool) -> Result<ExitCode, String> {
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(Duration::from_millis(100));
    let report = runtime()?.block_on(conformance::run(options, |check| progress.set_message(check.name)));
    progress.finish_and_clear();
    if json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?);
    } else {
        anstream::println!("{report}");
    }
    Ok(if report.conforms() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "this is what the command prints")]
fn hold(options: &Options, folder: &Path, owner: &str) -> Result<ExitCode, String> {
    runtime()?.block_on(async {
        println!("{}", conformance::hold(options, folder, owner).await?);
        std::io::stdout().flush().map_err(|error| error.to_string())?;
        std::future::pending().await
    })
}

/// One thread is enough: it waits for the backend's own threads.
fn host(library: &Path) -> Result<ExitCode, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(plugin::hold(library)).map_err(|error| format!("cannot hold a backend: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start worker threads: {error}"))
}

#[expect(clippy::print_stdout, reason = "this is what the command prints")]
fn new(name: &str, path: Option<PathBuf>) -> Result<ExitCode, String> {
    let files = template::files(name)?;
    let folder = path.unwrap_or_else(|| PathBuf::from(name));
    if folder.exists() {
        return Err(format!("{} exists already; choose another place with --path", folder.display()));
    }
    for (file, content) in files {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(&folder);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, content));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let (folder, library) = (folder.display(), name.replace('-', "_"));
    println!("{folder} holds a whole backend. Next:\n");
    println!("  cd {folder} && cargo build");
    println!("  hearth backend check target/debug/libhearth_backend_{library}.so");
    Ok(ExitCode::SUCCESS)
}
