//! The command line.

mod cluster;
mod hosts;
mod image;
mod lesson;
mod node;
pub(crate) mod pulling;
mod serve;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Folder for sessions, images and the database [default: /var/lib/drydock for root, else ~/.local/share/drydock].
    #[arg(long, global = true, env = "DRYDOCK_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Folder with node binary, web app, images and lessons, in place of those that this file carries.
    #[arg(long, global = true, env = "DRYDOCK_BUNDLE", hide_short_help = true)]
    bundle: Option<PathBuf>,
    /// Where nodes of new clusters run; clusters that exist are found wherever they are.
    #[arg(long, global = true, env = "DRYDOCK_HOST", value_enum, default_value_t = HostChoice::Auto)]
    host: HostChoice,
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
    Serve(serve::Options),
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

/// Runs one command.
///
/// # Errors
/// What the user shall read, in one sentence.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let level = if options.command.serves() { "info" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("DRYDOCK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).with_ansi(false);
    if std::env::var_os("DRYDOCK_LOG_FORMAT").is_some_and(|form| form == "json") {
        logs.json().init()
    } else {
        logs.init()
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match options.command {
            Command::Serve(serve) => serve::run(&options.common, serve, serve::Lessons::All).await,
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
