//! The command line.

mod backup;
mod cluster;
mod config;
mod hosts;
mod image;
mod lesson;
mod node;
pub(crate) mod pulling;
mod serve;
mod systemd;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::config::Setting;
use crate::files::Files;

/// A Kubernetes playground for labs and classrooms, and the fastest throw-away clusters.
#[derive(Parser)]
#[command(name = "drydock", version)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command may be told.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// The configuration [default: /etc/drydock/drydock.toml if there is one].
    #[arg(long, global = true, env = "DRYDOCK_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for sessions, images and the database [default: /var/lib/drydock for root, else ~/.local/share/drydock].
    #[arg(long, global = true, env = "DRYDOCK_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Folder with node binary, web app, images and lessons, in place of those that this file carries.
    #[arg(long, global = true, env = "DRYDOCK_BUNDLE", hide_short_help = true)]
    bundle: Option<PathBuf>,
    /// Where nodes of new clusters run; clusters that exist are found wherever they are.
    #[arg(long, global = true, env = "DRYDOCK_HOST", value_enum, default_value_t = HostChoice::Auto)]
    host: HostChoice,
    /// What is logged, e.g. debug or info,drydock::routes=debug [default: info for a server, warn for other commands].
    #[arg(long, global = true, env = "DRYDOCK_LOG", value_name = "FILTER", hide_short_help = true)]
    log: Option<String>,
    /// How it is logged, on standard error.
    #[arg(long, global = true, env = "DRYDOCK_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, hide_short_help = true)]
    log_format: LogFormat,
}

/// Forms of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

/// Where nodes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HostChoice {
    /// Embedded where this machine has what that needs, else in Docker.
    Auto,
    /// In namespaces, by Drydock's own runtime.
    Embedded,
    /// In Docker containers.
    Docker,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the web app.
    Serve(Box<serve::Options>),
    /// Prints the settings that hold for the server, and where each comes from.
    Config(Box<config::Options>),
    /// Saves the database and the imported lessons, also while a server runs.
    Backup(backup::Backup),
    /// Puts a backup back; what was there is kept beside it.
    Restore(backup::Restore),
    /// Prints the systemd unit that runs the server.
    Systemd(systemd::Options),
    /// Creates, lists and removes clusters without the web app.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Adds and removes workers of a running cluster.
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Lets nodes and components fail, and heals them.
    #[command(subcommand)]
    Fault(node::FaultCommand),
    /// Lists and imports images that pods can use.
    #[command(subcommand)]
    Image(image::Command),
    /// Checks, imports and shows lessons while they are written.
    #[command(subcommand)]
    Lesson(lesson::Command),
}

impl Command {
    /// Whether it goes on until it is told to stop, with a log that somebody follows.
    fn serves(&self) -> bool {
        matches!(self, Command::Serve(_) | Command::Lesson(lesson::Command::Preview(_)))
    }
}

impl Common {
    /// What Drydock needs beside itself.
    ///
    /// # Errors
    /// One sentence that says what is missing.
    fn files(&self) -> anyhow::Result<Files> {
        Files::prepare(&self.data()?, self.bundle.as_deref())
    }

    fn data(&self) -> anyhow::Result<PathBuf> {
        match &self.data_dir {
            Some(folder) => Ok(folder.clone()),
            None => default_data_dir(),
        }
    }
}

fn default_data_dir() -> anyhow::Result<PathBuf> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if is_root {
        return Ok("/var/lib/drydock".into());
    }
    match std::env::var_os("HOME") {
        Some(home) => Ok(PathBuf::from(home).join(".local/share/drydock")),
        None => bail!("HOME is not set: name a folder with --data-dir"),
    }
}

/// Reads the command line with environment and configuration.
///
/// # Errors
/// What is wrong with them, in one sentence; clap's own errors end the process, as help does.
pub(crate) fn parse(line: &[OsString]) -> anyhow::Result<(Options, Vec<Setting>)> {
    let outcome = crate::config::parse(&Options::command(), line);
    let (matches, settings) = match outcome {
        Err(crate::config::Error::Line(error)) => error.exit(),
        outcome => outcome?,
    };
    Ok((Options::from_arg_matches(&matches)?, settings))
}

/// Runs one command.
///
/// # Errors
/// What the user shall read, in one sentence.
pub(crate) fn run(options: Options, settings: &[Setting]) -> anyhow::Result<()> {
    let level = if options.command.serves() { "info" } else { "warn" };
    let filter = options.common.log.as_deref().unwrap_or(level);
    let filter =
        tracing_subscriber::EnvFilter::try_new(filter).with_context(|| format!("--log {filter:?} is no filter"))?;
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).with_ansi(false);
    match options.common.log_format {
        LogFormat::Json => logs.json().init(),
        LogFormat::Text => logs.init(),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match options.command {
            Command::Serve(serve) => serve::run(&options.common, *serve, serve::Lessons::All).await,
            Command::Config(command) => {
                config::run(&command, settings);
                Ok(())
            }
            Command::Backup(command) => backup::save(&options.common, command).await,
            Command::Restore(command) => backup::restore(&options.common, command).await,
            Command::Systemd(command) => systemd::run(&command),
            Command::Cluster(command) => cluster::run(&options.common, command).await,
            Command::Node(command) => node::run(&options.common, command).await,
            Command::Fault(command) => node::fault(&options.common, command).await,
            Command::Image(command) => image::run(&options.common, command).await,
            Command::Lesson(command) => lesson::run(&options.common, command).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Options::command().debug_assert();
    }
}
