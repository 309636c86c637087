//! `drydock lesson`: for those who write lessons.

mod copy;
mod proof;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::{Common, serve};
use crate::lessons::{self, Source, lint};

/// What to do with lessons.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Copies lessons into the data folder: the running server, or the next one, offers them.
    Import {
        /// Folders of a lesson each, or of lessons.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
    /// Serves the web app with these lessons alone, live while they are written.
    Preview(Box<Preview>),
    /// Says what is wrong with lessons, and proves on real clusters that their checks fail before and hold after what a
    /// learner does.
    Check(Check),
}

/// What to preview.
#[derive(Args)]
pub(crate) struct Preview {
    /// Folders of a lesson each, or of lessons.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    serve: serve::Options,
}

/// What to check.
#[derive(Args)]
pub(crate) struct Check {
    /// Folders of a lesson each, or of lessons.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Only reads; starts no cluster.
    #[arg(long)]
    lint: bool,
    /// Clusters at once [default: one for each CPU].
    #[arg(long)]
    jobs: Option<usize>,
}

/// Runs a command.
///
/// # Errors
/// What the author shall read.
pub(crate) async fn run(common: &Common, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Import { folders } => {
            let own = serve::own_lessons(&crate::files::create(&common.data()?)?)?;
            for (folder, source) in read(&folders)? {
                copy::copy(&folder, &own, &source)?;
                println!("lesson {:?} is imported", source.slug);
            }
            Ok(())
        }
        Command::Preview(preview) => {
            // Mistakes are told, and mended while the server runs.
            let folders = preview.folders.iter().map(|folder| folder.canonicalize());
            let folders = folders.collect::<Result<_, _>>().context("there is no such folder")?;
            serve::run(common, preview.serve, serve::Lessons::Only(folders)).await
        }
        Command::Check(check) => {
            let found = read(&check.folders)?;
            for finding in found.iter().flat_map(|(_, source)| lint::lint(source)) {
                println!("{}: {}", finding.file, finding.advice);
            }
            if check.lint {
                return Ok(());
            }
            let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            proof::prove(common, found, check.jobs.unwrap_or(cpus).max(1)).await
        }
    }
}

/// Reads lessons, and says all that is wrong with those that do not load.
fn read(folders: &[PathBuf]) -> anyhow::Result<Vec<(PathBuf, Source)>> {
    let (mut sources, mut refused) = (Vec::new(), 0);
    for folder in folders {
        let found = lessons::folders(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        if found.is_empty() {
            bail!("there is no lesson in {}: a lesson is a folder with a lesson.toml", folder.display());
        }
        for lesson in found {
            match lessons::read_folder(&lesson) {
                Ok(source) => sources.push((lesson, source)),
                Err(error) => {
                    println!("{error}");
                    refused += 1;
                }
            }
        }
    }
    if refused > 0 {
        bail!("{refused} of {} lessons cannot be used", refused + sources.len());
    }
    Ok(sources)
}
