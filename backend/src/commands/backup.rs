//! `drydock backup` and `drydock restore`.

use std::path::PathBuf;

use clap::Args;

use super::Common;
use crate::backup::{self, Outcome, Place};
use crate::sessions::now_millis;

/// Where to write to.
#[derive(Args)]
pub(crate) struct Backup {
    /// The file to write: a gzipped tar archive with the database and the imported lessons.
    file: PathBuf,
}

/// What to read.
#[derive(Args)]
pub(crate) struct Restore {
    /// A file that `drydock backup` wrote.
    file: PathBuf,
}

/// Saves.
///
/// # Errors
/// What the operator shall read.
pub(crate) async fn save(common: &Common, command: Backup) -> anyhow::Result<()> {
    let outcome = backup::save(&common.data()?, &command.file, now_millis()).await?;
    if let Place::Archive(bytes) = outcome.place {
        println!("Wrote {}, {:.1} MB: {}", command.file.display(), bytes as f64 / 1e6, told(&outcome));
    }
    Ok(())
}

/// Puts back.
///
/// # Errors
/// What the operator shall read.
pub(crate) async fn restore(common: &Common, command: Restore) -> anyhow::Result<()> {
    let data = crate::files::create(&common.data()?)?;
    let outcome = backup::restore(&data, &command.file, now_millis()).await?;
    println!("Restored {} to {}: {}", command.file.display(), data.display(), told(&outcome));
    if let Place::Kept(Some(folder)) = &outcome.place {
        println!("What was there before is in {}", folder.display());
    }
    Ok(())
}

fn told(outcome: &Outcome) -> String {
    let (contents, counts) = (&outcome.contents, outcome.counts);
    let own = contents.files.iter().filter(|item| item.path.ends_with("lesson.toml")).count();
    let seconds = i64::try_from(contents.created_millis / 1000).unwrap_or_default();
    let when = jiff::Timestamp::from_second(seconds).map(|when| when.to_string()).unwrap_or_default();
    format!(
        "as of {when}, Drydock {}, schema {}, {} sessions, {} lessons, {own} of them imported",
        contents.version, contents.schema, counts.sessions, counts.lessons
    )
}
