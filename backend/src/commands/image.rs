//! `drydock image`: what pods can use without a registry.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;

use super::{Common, hosts};

/// What to do with images.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists the images.
    List,
    /// Imports an archive as `docker save` writes it.
    Import {
        /// The archive.
        archive: PathBuf,
    },
}

/// Runs one image command.
///
/// # Errors
/// When the archive or the store cannot be read or written.
pub(crate) async fn run(common: &Common, command: Command) -> anyhow::Result<()> {
    let files = common.files()?;
    let store = files.images()?;
    match command {
        Command::List => {
            println!("{:<40} {:>10}  DIGEST", "NAME", "SIZE");
            for image in store.list()? {
                println!("{:<40} {:>7} MB  {}", image.name, image.size / 1_000_000, image.digest);
            }
        }
        Command::Import { archive } => {
            let file = File::open(&archive).with_context(|| format!("cannot open {}", archive.display()))?;
            for name in store.import_docker_archive(BufReader::new(file))? {
                println!("{}", name.name);
            }
            if common.uses_docker()? {
                hosts::docker(&files)?.import(&archive).await?;
            }
        }
    }
    Ok(())
}
