//! Builds the browser app: from Rust, npm packages and style sheets to a folder of compressed files.
//!
//! The way: cargo for `wasm32-unknown-unknown` (profile `wasm`) → wasm-bindgen as a library → esbuild, which
//! bundles the glue and splits the terminal off to be loaded later → the official Tailwind over the Rust sources
//! → names that hold a hash of the content → brotli and gzip beside each file → `manifest.json`, which tells the
//! backend what to serve and how.
//!
//! There are two apps, see [`APPS`]: what learners load, and what instructors and operators load. One crate holds
//! both, so that they share parts; each is a binary, and the linker leaves out what it does not use.
//!
//! A build whose inputs did not change returns at once. Nothing here needs root, except that a missing Node.js is
//! installed from Debian when the caller happens to be root.

mod apps;
mod command;
mod dist;
mod inputs;
mod npm;
mod style;
mod target;
mod vendor;
mod wasm;

use std::path::PathBuf;

use anyhow::{Context, Result};

pub use apps::{APPS, WebApp};
pub use dist::{Asset, Manifest};

/// What to build and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Root of the workspace, the folder of the top `Cargo.toml`.
    pub workspace: PathBuf,
    /// Target folder of this build alone, so that it neither waits for nor disturbs other cargo builds.
    pub target_dir: PathBuf,
    /// Where the files for the backend go; replaced as a whole.
    pub dist: PathBuf,
}

impl Options {
    /// The usual places: `target/web` and `target/web/dist` under `workspace`.
    #[must_use]
    pub fn new(workspace: impl Into<PathBuf>) -> Self {
        let workspace = workspace.into();
        let target_dir = workspace.join("target").join("web");
        Self { dist: target_dir.join("dist"), target_dir, workspace }
    }
}

/// What a build gave.
#[derive(Clone, Debug)]
pub struct Report {
    /// The manifest, as written to `dist/manifest.json`.
    pub manifest: Manifest,
    /// Whether nothing had to be done.
    pub up_to_date: bool,
}

impl Report {
    /// Compressed bytes that a first visit of an app loads before its page works; what is loaded later does not count.
    #[must_use]
    pub fn first_load(&self, app: &WebApp) -> u64 {
        let needed = self.manifest.files.iter().filter(|it| it.first_load.iter().any(|it| it == app.name));
        needed.map(|it| it.brotli_bytes.unwrap_or(it.bytes)).sum()
    }

    /// A table of the files with their sizes, for people.
    #[must_use]
    pub fn table(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        for file in &self.manifest.files {
            let _ = writeln!(
                out,
                "  {:<38} {:>9} B {:>9} B br {}",
                file.path,
                file.bytes,
                file.brotli_bytes.unwrap_or(file.bytes),
                if file.first_load.is_empty() { "(later)".to_owned() } else { file.first_load.join(", ") }
            );
        }
        for app in &APPS {
            let (needed, allowed) = (self.first_load(app).div_ceil(1000), app.limit / 1000);
            let _ = writeln!(out, "  first load of {}: {needed} kB of {allowed} kB allowed", app.name);
        }
        out
    }
}

/// Builds the apps, telling `progress` what it is about to do.
///
/// # Errors
/// One sentence on what is missing and how to get it, or the failing tool's own words; also when the first load
/// of an app would be above its limit.
pub fn build(options: &Options, progress: &dyn Fn(&str)) -> Result<Report> {
    let fingerprint = inputs::fingerprint(&options.workspace).context("cannot read the frontend's sources")?;
    if let Some(manifest) = dist::current(&options.dist, &fingerprint) {
        return Ok(Report { manifest, up_to_date: true });
    }
    let frontend = options.workspace.join("frontend");
    let work = options.target_dir.join("bundle");
    let _ = std::fs::remove_dir_all(&work);
    std::fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;

    npm::install(&frontend, progress)?;
    let standard_library = target::ensure(&options.target_dir, progress)?;
    progress("compiling the browser apps");
    let compiled = wasm::compile(options, standard_library)?;
    progress("binding, bundling and styling the browser apps");
    for app in &APPS {
        wasm::bind(&compiled.modules[app.binary], app, &work.join("bindgen"))?;
        style::generate(&frontend, &work, &compiled.build_script_out, app)?;
    }
    let bundle = vendor::bundle(&frontend, &work)?;
    progress("compressing the browser apps");
    let manifest =
        dist::write(&dist::Parts { frontend: &frontend, work: &work, bundle: &bundle }, &options.dist, &fingerprint)?;
    let report = Report { manifest, up_to_date: false };
    for app in &APPS {
        let (needed, allowed) = (report.first_load(app), app.limit);
        anyhow::ensure!(
            needed <= allowed,
            "the {} needs {needed} bytes before it works, {allowed} are allowed",
            app.name
        );
    }
    Ok(report)
}

/// Lints the apps for the browser's target.
///
/// # Errors
/// When the target's standard library cannot be had, or clippy finds something.
pub fn lint(options: &Options, progress: &dyn Fn(&str)) -> Result<()> {
    let standard_library = target::ensure(&options.target_dir, progress)?;
    wasm::lint(options, standard_library)
}
