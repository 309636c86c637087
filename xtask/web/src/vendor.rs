//! Bundling JavaScript with esbuild: each app's entry with its wasm glue, and terminal and editor as parts that load later.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{APPS, WebApp, command, npm};

/// A bundled script.
pub(crate) struct Script {
    /// File in the bundle folder; its name holds a hash of the content.
    pub(crate) file: PathBuf,
    /// The apps whose pages need it before they work.
    pub(crate) first_load: Vec<&'static str>,
    /// The app whose entry it is.
    pub(crate) entry: Option<&'static str>,
}

/// All bundled scripts.
pub(crate) struct Bundle {
    /// Scripts.
    pub(crate) scripts: Vec<Script>,
    /// The small script that sets the theme before the first paint.
    pub(crate) theme: PathBuf,
}

#[derive(Deserialize)]
struct Meta {
    outputs: BTreeMap<String, Output>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(default, rename = "entryPoint")]
    entry_point: Option<String>,
    #[serde(default)]
    imports: Vec<Import>,
}

#[derive(Deserialize)]
struct Import {
    path: String,
    kind: String,
}

/// Bundles the entries in `frontend/js` with the glue in `work/bindgen`, and `frontend/js/theme.js` by itself.
pub(crate) fn bundle(frontend: &Path, work: &Path) -> Result<Bundle> {
    let folder = work.join("scripts");
    let common = [
        "--bundle",
        "--minify",
        "--target=es2022",
        "--legal-comments=none",
        "--log-level=warning",
        "--entry-names=[name]-[hash]",
    ];
    let meta = work.join("scripts.json");
    command::output(
        npm::node(frontend, "esbuild/bin/esbuild")
            .current_dir(frontend)
            .args(APPS.iter().map(entry))
            .args(["--format=esm", "--splitting", "--chunk-names=[name]-[hash]"])
            .args(common)
            .args(APPS.iter().map(|it| {
                format!("--alias:drydock-{0}={1}", it.stem, work.join(format!("bindgen/{}.js", it.stem)).display())
            }))
            .arg(format!("--alias:drydock-xterm={}", frontend.join("js/xterm.js").display()))
            .arg(format!("--alias:drydock-codemirror={}", frontend.join("js/codemirror.js").display()))
            .arg(format!("--outdir={}", folder.display()))
            .arg(format!("--metafile={}", meta.display()))
            // The glue lies outside the frontend folder and still finds the npm packages.
            .env("NODE_PATH", frontend.join("node_modules")),
    )?;
    command::output(
        npm::node(frontend, "esbuild/bin/esbuild")
            .current_dir(frontend)
            .args(["js/theme.js", "--format=iife"])
            .args(common)
            .arg(format!("--outdir={}", work.join("theme").display())),
    )?;
    let text = fs::read_to_string(&meta).context("esbuild left no list of what it wrote")?;
    let meta: Meta = serde_json::from_str(&text).context("esbuild's list of what it wrote")?;
    let mut first = Vec::new();
    for app in &APPS {
        first.push((
            app,
            first_load(&meta, app).with_context(|| format!("esbuild wrote no entry of the {}", app.name))?,
        ));
    }
    let script = |path: &String| {
        let needed = first.iter().filter(|(_, files)| files.contains(path)).map(|(app, _)| app.name);
        let entry = first.iter().find(|(_, files)| files.first() == Some(path)).map(|(app, _)| app.name);
        Some(Script { file: folder.join(Path::new(path).file_name()?), first_load: needed.collect(), entry })
    };
    let scripts = meta.outputs.keys().filter_map(script).collect();
    let theme = fs::read_dir(work.join("theme"))?.flatten().next().context("esbuild wrote no theme script")?.path();
    Ok(Bundle { scripts, theme })
}

/// An app's entry under `frontend`.
fn entry(app: &WebApp) -> String {
    format!("js/{}.js", app.stem)
}

/// The entry of an app and all that it imports statically.
fn first_load(meta: &Meta, app: &WebApp) -> Option<Vec<String>> {
    let source = entry(app);
    let (entry, _) = meta.outputs.iter().find(|(_, it)| it.entry_point.as_deref() == Some(source.as_str()))?;
    let mut found = vec![entry.clone()];
    let mut next = 0;
    while let Some(output) = found.get(next).and_then(|path| meta.outputs.get(path)) {
        for import in output.imports.iter().filter(|it| it.kind == "import-statement") {
            if !found.contains(&import.path) {
                found.push(import.path.clone());
            }
        }
        next += 1;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamic_imports_come_later() {
        let meta = serde_json::from_str(
            r#"{"outputs":{
                "o/app-A.js":{"entryPoint":"js/app.js","imports":[{"path":"o/chunk-B.js","kind":"import-statement"},{"path":"o/xterm-C.js","kind":"dynamic-import"}]},
                "o/chunk-B.js":{"imports":[]},
                "o/staff-D.js":{"entryPoint":"js/staff.js","imports":[{"path":"o/chunk-B.js","kind":"import-statement"}]},
                "o/xterm-C.js":{"entryPoint":"js/xterm.js","imports":[{"path":"o/chunk-B.js","kind":"import-statement"}]}}}"#,
        )
        .unwrap();
        assert_eq!(first_load(&meta, &APPS[0]).unwrap(), ["o/app-A.js", "o/chunk-B.js"]);
        assert_eq!(first_load(&meta, &APPS[1]).unwrap(), ["o/staff-D.js", "o/chunk-B.js"]);
    }
}
