//! `cargo run -p drydock-web-build`: builds the browser app by itself and prints its sizes.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use drydock_web_build::{Options, build};

fn main() -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace is gone")?;
    let mut options = Options::new(workspace);
    let mut arguments = std::env::args_os().skip(1);
    if let Some(folder) = arguments.next() {
        options.target_dir = folder.into();
        options.dist = options.target_dir.join("dist");
    }
    let report = build(&options, &|step| {
        let _ = writeln!(std::io::stderr(), "  {step}");
    })?;
    let state = if report.up_to_date { "is up to date" } else { "was built" };
    write!(std::io::stdout(), "{} {state}\n{}", options.dist.display(), report.table())?;
    Ok(())
}
