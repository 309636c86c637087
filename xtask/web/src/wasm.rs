//! Compiling the apps to wasm and writing the JavaScript that connects them to their pages.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use wasm_bindgen_cli_support::Bindgen;

use crate::target::{StandardLibrary, TARGET};
use crate::{APPS, Options, WebApp};

/// Leptos hands views on as one type in place of a type for each: an eighth less to load, and half the time to build.
const FLAGS: &str = "--cfg erase_components";

/// What cargo made.
pub(crate) struct Compiled {
    /// The wasm modules by the names of their binaries, not bound yet.
    pub(crate) modules: HashMap<String, PathBuf>,
    /// Folder into which the frontend's build script wrote its class names.
    pub(crate) build_script_out: PathBuf,
}

/// The parts of cargo's JSON messages that matter here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    out_dir: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Compiles the apps with the profile `wasm`.
pub(crate) fn compile(options: &Options, standard_library: StandardLibrary) -> Result<Compiled> {
    let mut cargo = cargo("build", options, standard_library);
    cargo.args(["--bins", "--profile", "wasm", "--message-format=json-render-diagnostics"]);
    let out = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !out.status.success() {
        bail!("the browser apps do not compile");
    }
    outputs(&String::from_utf8_lossy(&out.stdout)).context("cargo did not tell where it put the browser apps")
}

/// Runs clippy over the apps as the browser gets them, warnings denied.
pub(crate) fn lint(options: &Options, standard_library: StandardLibrary) -> Result<()> {
    let mut cargo = cargo("clippy", options, standard_library);
    let status = cargo.args(["--", "-D", "warnings"]).stdin(Stdio::null()).status().context("cannot run cargo")?;
    if !status.success() {
        bail!("clippy finds fault with the browser apps");
    }
    Ok(())
}

fn cargo(verb: &str, options: &Options, standard_library: StandardLibrary) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(&options.workspace)
        .env("CARGO_TARGET_DIR", &options.target_dir)
        // Flags meant for native code, such as a static C runtime, do not suit wasm.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", FLAGS)
        .args([verb, "--quiet", "--locked", "--package", "drydock-frontend", "--target", TARGET]);
    if standard_library == StandardLibrary::FromSource {
        cargo.env("RUSTC_BOOTSTRAP", "1").args(["-Z", "build-std=std,panic_abort"]);
    }
    cargo
}

fn outputs(messages: &str) -> Option<Compiled> {
    let mut modules = HashMap::new();
    let mut build_script_out = None;
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok()) {
        if !message.package_id.contains("/frontend#") {
            continue;
        }
        match message.reason.as_str() {
            "compiler-artifact" => {
                for file in message.filenames.into_iter().filter(|it| it.extension().is_some_and(|it| it == "wasm")) {
                    if let Some(name) = file.file_stem() {
                        modules.insert(name.to_string_lossy().into_owned(), file);
                    }
                }
            }
            "build-script-executed" => build_script_out = message.out_dir.or(build_script_out),
            _ => {}
        }
    }
    let whole = APPS.iter().all(|app| modules.contains_key(app.binary));
    whole.then_some(())?;
    Some(Compiled { modules, build_script_out: build_script_out? })
}

/// Writes `STEM.js`, `STEM_bg.wasm` and the JavaScript snippets of an app into `folder`.
pub(crate) fn bind(module: &Path, app: &WebApp, folder: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(module)
        .out_name(app.stem)
        .web(true)
        .context("wasm-bindgen")?
        .omit_default_module_path(true)
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)
        .context("wasm-bindgen could not bind the browser apps")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_tells_module_and_build_folder() {
        let messages = r#"
{"reason":"compiler-artifact","package_id":"registry+https://x#serde@1","filenames":["/t/libserde.rlib"]}
{"reason":"build-script-executed","package_id":"path+file:///w/frontend#drydock-frontend@0.1.0","out_dir":"/t/out"}
{"reason":"compiler-artifact","package_id":"path+file:///w/frontend#drydock-frontend@0.1.0","filenames":["/t/libdrydock_frontend.rlib"]}
{"reason":"compiler-artifact","package_id":"path+file:///w/frontend#drydock-frontend@0.1.0","filenames":["/t/drydock-frontend.wasm"]}
{"reason":"compiler-artifact","package_id":"path+file:///w/frontend#drydock-frontend@0.1.0","filenames":["/t/drydock-staff.wasm"]}
{"reason":"build-finished","success":true}"#;
        let compiled = outputs(messages).unwrap();
        assert_eq!(compiled.modules["drydock-frontend"], Path::new("/t/drydock-frontend.wasm"));
        assert_eq!(compiled.modules["drydock-staff"], Path::new("/t/drydock-staff.wasm"));
        assert_eq!(compiled.build_script_out, Path::new("/t/out"));
        assert!(outputs(&messages.replace("drydock-staff", "other")).is_none());
    }
}
