//! The command line.

mod admin;
mod backend;
mod instances;
mod logs;
mod template;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::{Parser, Subcommand, ValueEnum};
use comfy_table::{Table, presets};

use tracing_subscriber::EnvFilter;

use crate::config::{Environment, Flags, HostConfig, ProcessEnvironment};
use crate::plugin::{self, Program, SearchPath};
use crate::serve;
use crate::simulate::{self, Simulate};

const EXAMPLES: &str = "\
Examples:
  hearth                                        serve on 127.0.0.1:3001, functions as processes
  hearth --backend docker --listen 127.0.0.1:0  functions as containers, on any free port
  hearth --config hearth.toml                   settings from a file (see examples/hearth.toml)
  hearth instances                              what is warm in the hearth that runs on 127.0.0.1:3001
  hearth logs -f hello                          what the function `hello` writes
  hearth backends                               what can be loaded
  hearth backend check ./libhearth_backend_x.so whether a backend keeps what the interface promises

Then, from any AWS SDK or the aws CLI:
  export AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:3001
  aws lambda invoke --function-name hello --cli-binary-format raw-in-base64-out \\
      --payload '{\"name\":\"you\"}' /dev/stdout";

/// AWS Lambda functions on your own machine.
///
/// Without a command, hearth serves the Lambda API until it is told to stop (Ctrl-C or SIGTERM).
#[derive(Clone, Debug, Parser)]
#[command(name = "hearth", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    flags: Flags,

    /// What to log: error, warn, info, debug, trace, or a filter such as `info,backend=debug`
    #[arg(long, env = "HEARTH_LOG", value_name = "FILTER", default_value = "info", global = true)]
    log: String,

    /// How to log
    #[arg(long, env = "HEARTH_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Show what is warm in a running hearth
    Instances {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    Logs(logs::Logs),
    /// Tell what is made of each operation of the Lambda API, in Markdown
    Api,
    /// List the backends that can be loaded
    Backends {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// For those who write backends: check one, or begin one
    #[command(subcommand)]
    Backend(backend::Command),
    /// Replay a trace of invocations under keep-alive policies, in virtual time
    Simulate(Box<Simulate>),
}

/// Runs the command line to its end.
pub fn run(cli: &Cli) -> ExitCode {
    let search = search_path(&cli.flags);
    let outcome = match &cli.command {
        Some(Command::Backends { json }) => backends(&search, *json).map_err(|error| error.to_string()),
        Some(Command::Instances { json }) => instances(&cli.flags, *json),
        Some(Command::Api) => Ok(api()),
        Some(Command::Logs(wanted)) => logs(&cli.flags, wanted),
        Some(Command::Backend(command)) => command.clone().run(cli, &search),
        Some(Command::Simulate(flags)) => simulate::run(flags),
        None => serve(cli, search),
    };
    match outcome {
        Ok(code) => code,
        Err(message) => {
            let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
            // Standard error is gone: there is nobody left to tell.
            let _nobody = writeln!(anstream::stderr(), "{red}hearth:{red:#} {message}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command prints")]
fn serve(cli: &Cli, search: SearchPath) -> Result<ExitCode, String> {
    let config = HostConfig::load(&cli.flags, &ProcessEnvironment).map_err(|error| error.to_string())?;
    cli.start_logging()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("hearth")
        .build()
        .map_err(|error| format!("cannot start worker threads: {error}"))?;
    let search = SearchPath { plugin_dirs: config.plugin_dirs.clone(), ..search };
    let report = runtime.block_on(serve::serve(config, search, cli.log.clone(), cli.again(&cli.log)));
    let report = report.map_err(|error| error.to_string())?;
    println!("hearth stopped: {report}");
    Ok(if report.left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "this is what the command prints")]
fn instances(flags: &Flags, json: bool) -> Result<ExitCode, String> {
    let config = HostConfig::load(flags, &ProcessEnvironment).map_err(|error| error.to_string())?;
    println!("{}", asking()?.block_on(instances::instances(&config, json))?);
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "this is what the command prints")]
fn api() -> ExitCode {
    print!("{}", crate::api::page());
    ExitCode::SUCCESS
}

fn logs(flags: &Flags, wanted: &logs::Logs) -> Result<ExitCode, String> {
    let config = HostConfig::load(flags, &ProcessEnvironment).map_err(|error| error.to_string())?;
    asking()?.block_on(wanted.run(&config))?;
    Ok(ExitCode::SUCCESS)
}

/// What a command needs that asks a running hearth.
fn asking() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start: {error}"))
}

impl Cli {
    fn start_logging(&self) -> Result<(), String> {
        let filter = EnvFilter::try_new(&self.log)
            .map_err(|error| format!("--log `{}` is no filter: {error}", self.log))?;
        // The plugin filters its own records, by the same words; what it sends on is wanted.
        let filter = filter.add_directive("backend=trace".parse().map_err(|error| format!("{error}"))?);
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal());
        match self.log_format {
            LogFormat::Text => subscriber.with_target(false).compact().init(),
            LogFormat::Json => subscriber.json().init(),
        }
        Ok(())
    }

    /// This program as the home of a backend. It writes its log to where this one writes, so that a backend's last words
    /// are not lost with its process.
    fn again(&self, log: &str) -> Program {
        let format = self.log_format.to_possible_value().map(|value| value.get_name().to_owned());
        let args = ["--log", log, "--log-format", &format.unwrap_or_default(), "backend", "host"];
        Program::this(args.map(str::to_owned))
    }
}

fn search_path(flags: &Flags) -> SearchPath {
    let environment = ProcessEnvironment;
    let data_home = environment
        .get("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| environment.get("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    SearchPath {
        plugin_dirs: flags.plugin_dirs.clone(),
        plugin_path: environment.get("HEARTH_PLUGIN_PATH"),
        exe_dir: std::env::current_exe().ok().and_then(|exe| exe.parent().map(PathBuf::from)),
        data_home,
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command prints")]
fn backends(search: &SearchPath, json: bool) -> io::Result<ExitCode> {
    let found = plugin::list(search);
    if json {
        println!("{}", serde_json::to_string_pretty(&found).map_err(io::Error::other)?);
        return Ok(ExitCode::SUCCESS);
    }
    if found.is_empty() {
        println!("no backends found; looked in:");
        for folder in search.folders() {
            println!("  {}", folder.display());
        }
        return Ok(ExitCode::FAILURE);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["NAME", "VERSION", "INTERFACE", "CAPABILITIES", "FILE"]);
    for backend in found {
        table.add_row(backend.columns());
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}
