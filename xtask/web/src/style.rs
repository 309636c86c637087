//! The style sheets: the official Tailwind over the Rust sources, the page and the class names of the build script.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{WebApp, command, npm};

/// Where an app's style sheet is.
pub(crate) fn file(work: &Path, app: &WebApp) -> PathBuf {
    work.join(format!("{}.css", app.stem))
}

/// Generates the style sheet of an app.
pub(crate) fn generate(frontend: &Path, work: &Path, build_script_out: &Path, app: &WebApp) -> Result<()> {
    let input = work.join(format!("{}.in.css", app.stem));
    let text = format!(
        "@import \"{}\";\n@source \"{}\";\n",
        frontend.join("styles").join(format!("{}.css", app.stem)).display(),
        build_script_out.join("classes.rs").display()
    );
    fs::write(&input, text).with_context(|| format!("cannot write {}", input.display()))?;
    command::output(
        npm::node(frontend, "@tailwindcss/cli/dist/index.mjs")
            .current_dir(frontend)
            .arg("--minify")
            .arg("-i")
            .arg(&input)
            .arg("-o")
            .arg(file(work, app)),
    )?;
    Ok(())
}
