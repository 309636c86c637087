//! Bundling JavaScript with esbuild: the entry with the wasm glue, and terminal and editor as parts that load later.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{command, npm};

/// A bundled script.
pub(crate) struct Script {
    /// File in the bundle folder; its name holds a hash of the content.
    pub(crate) file: PathBuf,
    /// Whether the page needs it before it works.
    pub(crate) first_load: bool,
}

/// All bundled scripts.
pub(crate) struct Bundle {
    /// Scripts, the entry first.
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

/// Bundles `frontend/js/boot.js` with the glue in `work/bindgen`, and `frontend/js/theme.js` by itself.
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
            .args(["js/boot.js", "--format=esm", "--splitting", "--chunk-names=[name]-[hash]"])
            .args(common)
            .arg(format!("--alias:drydock-app={}", work.join("bindgen/app.js").display()))
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
    let first = first_load(&meta).context("esbuild wrote no entry")?;
    let mut scripts: Vec<Script> = meta
        .outputs
        .keys()
        .filter_map(|path| {
            let name = Path::new(path).file_name()?;
            Some(Script { file: folder.join(name), first_load: first.contains(path) })
        })
        .collect();
    scripts.sort_by_key(|it| !it.file.file_name().is_some_and(|it| it.to_string_lossy().starts_with("boot-")));
    let theme = fs::read_dir(work.join("theme"))?.flatten().next().context("esbuild wrote no theme script")?.path();
    Ok(Bundle { scripts, theme })
}

/// The entry and all that it imports statically.
fn first_load(meta: &Meta) -> Option<Vec<String>> {
    let (entry, _) =
        meta.outputs.iter().find(|(_, it)| it.entry_point.as_deref().is_some_and(|it| it.ends_with("boot.js")))?;
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
                "o/boot-A.js":{"entryPoint":"js/boot.js","imports":[{"path":"o/chunk-B.js","kind":"import-statement"},{"path":"o/xterm-C.js","kind":"dynamic-import"}]},
                "o/chunk-B.js":{"imports":[]},
                "o/xterm-C.js":{"entryPoint":"js/xterm.js","imports":[{"path":"o/chunk-B.js","kind":"import-statement"}]}}}"#,
        )
        .unwrap();
        assert_eq!(first_load(&meta).unwrap(), ["o/boot-A.js", "o/chunk-B.js"]);
    }
}
