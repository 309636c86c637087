//! `cargo xtask lessons`: builds the product and proves its lessons on real clusters.

use std::process::Command;

use crate::{build, tools};

/// Which lessons, and how.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Names of lessons; without any, all.
    names: Vec<String>,
    /// Clusters at once [default: one for each CPU].
    #[arg(long)]
    jobs: Option<usize>,
}

/// For each step of each lesson in each language: its checks fail before and hold after what a learner does.
///
/// # Errors
/// When the build fails or a lesson is not as it should be.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let drydock = build::release()?;
    // Below /var/tmp, a real disk: overlay file systems do not stack on another overlay or a small tmpfs.
    let data = tempfile::Builder::new().prefix("drydock-lessons-").tempdir_in("/var/tmp")?;
    let lessons = tools::root().join("lessons");
    let mut command = Command::new(drydock);
    command.arg("--data-dir").arg(data.path()).args(["lesson", "check"]);
    if let Some(jobs) = options.jobs {
        command.args(["--jobs", &jobs.to_string()]);
    }
    if options.names.is_empty() {
        command.arg(lessons);
    } else {
        command.args(options.names.iter().map(|name| lessons.join(name)));
    }
    tools::run(&mut command)
}
