//! The style sheet: the official Tailwind over the Rust sources, the page and the class names of the build script.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{command, npm};

/// Generates the style sheet and returns its file.
pub(crate) fn generate(frontend: &Path, work: &Path, build_script_out: &Path) -> Result<PathBuf> {
    let input = work.join("input.css");
    let text = format!(
        "@import \"{}\";\n@source \"{}\";\n",
        frontend.join("style.css").display(),
        build_script_out.join("classes.rs").display()
    );
    fs::write(&input, text).with_context(|| format!("cannot write {}", input.display()))?;
    let output = work.join("style.css");
    command::output(
        npm::node(frontend, "@tailwindcss/cli/dist/index.mjs")
            .current_dir(frontend)
            .arg("--minify")
            .arg("-i")
            .arg(&input)
            .arg("-o")
            .arg(&output),
    )?;
    Ok(output)
}
