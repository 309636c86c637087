//! The folder that the backend serves: hashed names, compressed copies, the apps' pages and the manifest.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::inputs::{collect, hex};
use crate::vendor::Bundle;
use crate::{APPS, WebApp, style};

/// What the page may load and run: everything from its own origin, wasm, and nothing inline but styles (the
/// terminal writes its own). The backend sends it with every page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const MANIFEST: &str = "manifest.json";

/// `manifest.json`: what to serve and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Fingerprint of what the files were built from.
    pub fingerprint: String,
    /// Value of the `Content-Security-Policy` header for the page.
    pub content_security_policy: String,
    /// The files; the `index.html` of a folder is also the answer to every address below it that is no file.
    pub files: Vec<Asset>,
}

/// A file to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Path in the address and under the folder, such as `/assets/boot-3F2A.js`. With `.br` and `.gz` appended it
    /// names the compressed copies.
    pub path: String,
    /// Media type.
    pub content_type: String,
    /// Whether the name changes with the content, so that browsers may keep it for ever.
    pub immutable: bool,
    /// The apps of which a first visit needs it before the page works.
    pub first_load: Vec<String>,
    /// Strong entity tag, without quotes.
    pub etag: String,
    /// Size.
    pub bytes: u64,
    /// Size of the copy with `.br`, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brotli_bytes: Option<u64>,
    /// Size of the copy with `.gz`, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gzip_bytes: Option<u64>,
}

/// What the earlier stages made.
pub(crate) struct Parts<'a> {
    pub(crate) frontend: &'a Path,
    pub(crate) work: &'a Path,
    pub(crate) bundle: &'a Bundle,
}

/// The manifest in `dist`, if it is of these inputs and its files are there.
pub(crate) fn current(dist: &Path, fingerprint: &str) -> Option<Manifest> {
    let manifest: Manifest = serde_json::from_slice(&fs::read(dist.join(MANIFEST)).ok()?).ok()?;
    let whole = manifest.files.iter().all(|it| dist.join(it.path.trim_start_matches('/')).is_file());
    (manifest.fingerprint == fingerprint && whole).then_some(manifest)
}

/// Writes everything beside `dist` and puts it in its place at the end.
pub(crate) fn write(parts: &Parts<'_>, dist: &Path, fingerprint: &str) -> Result<Manifest> {
    let new = parts.work.join("dist");
    let mut writer = Writer { root: &new, files: Vec::new() };

    let theme_path = asset_path(&parts.bundle.theme)?;
    writer.put(&theme_path, &fs::read(&parts.bundle.theme)?, true, &APPS.map(|it| it.name))?;
    for script in &parts.bundle.scripts {
        writer.put(&asset_path(&script.file)?, &fs::read(&script.file)?, true, &script.first_load)?;
    }
    let public = parts.frontend.join("public");
    let mut files = Vec::new();
    collect(&public, &mut files)?;
    files.sort();
    for file in files {
        let path = format!("/{}", file.strip_prefix(&public)?.to_string_lossy());
        writer.put(&path, &fs::read(&file)?, false, &[])?;
    }

    for app in &APPS {
        page(&mut writer, parts, app, &theme_path)?;
    }

    let manifest = Manifest {
        fingerprint: fingerprint.to_owned(),
        content_security_policy: CONTENT_SECURITY_POLICY.to_owned(),
        files: writer.files,
    };
    fs::write(new.join(MANIFEST), serde_json::to_vec_pretty(&manifest)?)?;
    if dist.exists() {
        fs::remove_dir_all(dist).with_context(|| format!("cannot replace {}", dist.display()))?;
    }
    if let Some(parent) = dist.parent() {
        fs::create_dir_all(parent)?;
    }
    move_folder(&new, dist).with_context(|| format!("cannot write {}", dist.display()))?;
    Ok(manifest)
}

/// Writes an app's module, style sheet and page.
fn page(writer: &mut Writer<'_>, parts: &Parts<'_>, app: &WebApp, theme: &str) -> Result<()> {
    let wasm =
        fs::read(parts.work.join(format!("bindgen/{}_bg.wasm", app.stem))).context("wasm-bindgen left no module")?;
    let wasm_path = hashed(app.stem, "wasm", &wasm);
    writer.put(&wasm_path, &wasm, true, &[app.name])?;
    let css = fs::read(style::file(parts.work, app)).context("Tailwind left no style sheet")?;
    let css_path = hashed(app.stem, "css", &css);
    writer.put(&css_path, &css, true, &[app.name])?;
    let mut entry = None;
    let mut preload = String::new();
    for script in parts.bundle.scripts.iter().filter(|it| it.first_load.contains(&app.name)) {
        let path = asset_path(&script.file)?;
        if script.entry == Some(app.name) {
            entry = Some(path);
        } else {
            preload += &format!("<link rel=\"modulepreload\" href=\"{path}\">");
        }
    }
    let entry = entry.with_context(|| format!("the {} has no entry", app.name))?;
    let source = parts.frontend.join(app.source);
    let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let values =
        [("theme", theme), ("style", &css_path), ("wasm", &wasm_path), ("boot", &entry), ("preload", &preload)];
    writer.put(app.page, fill(&text, &values)?.as_bytes(), false, &[app.name])
}

struct Writer<'a> {
    root: &'a Path,
    files: Vec<Asset>,
}

impl Writer<'_> {
    fn put(&mut self, path: &str, content: &[u8], immutable: bool, first_load: &[&str]) -> Result<()> {
        let file = self.root.join(path.trim_start_matches('/'));
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, content)?;
        let content_type = content_type(path);
        let (mut brotli_bytes, mut gzip_bytes) = (None, None);
        if is_compressible(content_type) {
            brotli_bytes = keep_if_smaller(&format!("{}.br", file.display()), &brotli(content)?, content.len())?;
            gzip_bytes = keep_if_smaller(&format!("{}.gz", file.display()), &gzip(content)?, content.len())?;
        }
        self.files.push(Asset {
            path: path.to_owned(),
            content_type: content_type.to_owned(),
            immutable,
            first_load: first_load.iter().map(|&it| it.to_owned()).collect(),
            etag: hex(&Sha256::digest(content)[..12]),
            bytes: content.len() as u64,
            brotli_bytes,
            gzip_bytes,
        });
        Ok(())
    }
}

fn keep_if_smaller(file: &str, compressed: &[u8], original: usize) -> Result<Option<u64>> {
    if compressed.len() >= original {
        return Ok(None);
    }
    fs::write(file, compressed)?;
    Ok(Some(compressed.len() as u64))
}

fn brotli(content: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let params =
        brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, size_hint: content.len(), ..Default::default() };
    brotli::BrotliCompress(&mut &content[..], &mut out, &params)?;
    Ok(out)
}

fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

fn hashed(stem: &str, extension: &str, content: &[u8]) -> String {
    format!("/assets/{stem}-{}.{extension}", hex(&Sha256::digest(content)[..6]))
}

fn asset_path(file: &Path) -> Result<String> {
    let name = file.file_name().context("a script without a name")?;
    Ok(format!("/assets/{}", name.to_string_lossy()))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "json" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn is_compressible(content_type: &str) -> bool {
    content_type.starts_with("text/")
        || matches!(content_type, "application/wasm" | "image/svg+xml" | "application/json")
}

/// Puts the addresses into the page: every `{{name}}` must be known and every known name must occur.
fn fill(page: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut out = page.to_owned();
    for (name, value) in values {
        let mark = format!("{{{{{name}}}}}");
        anyhow::ensure!(out.contains(&mark), "the page has no {mark}");
        out = out.replace(&mark, value);
    }
    anyhow::ensure!(!out.contains("{{"), "the page asks for something that the build does not know");
    Ok(out)
}

/// Renames, or copies where the two lie on different file systems.
fn move_folder(from: &Path, to: &Path) -> Result<()> {
    if fs::rename(from, to).is_ok() {
        return Ok(());
    }
    let mut files = Vec::new();
    collect(from, &mut files)?;
    for file in files {
        let target = to.join(file.strip_prefix(from)?);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&file, target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_gets_every_address_or_fails() {
        assert_eq!(fill("<a {{x}}{{x}}>", &[("x", "1")]).unwrap(), "<a 11>");
        assert!(fill("<a>", &[("x", "1")]).is_err());
        assert!(fill("{{x}}{{y}}", &[("x", "1")]).is_err());
    }

    #[test]
    fn a_written_folder_is_current_until_a_file_is_lost() {
        let root = tempfile::tempdir().unwrap();
        let mut writer = Writer { root: root.path(), files: Vec::new() };
        writer.put("/assets/a-1.css", "body{color:red}".repeat(50).as_bytes(), true, &["a"]).unwrap();
        assert!(writer.files[0].brotli_bytes.is_some() && root.path().join("assets/a-1.css.br").is_file());
        let manifest =
            Manifest { fingerprint: "f".into(), content_security_policy: String::new(), files: writer.files };
        fs::write(root.path().join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
        assert_eq!(current(root.path(), "f"), Some(manifest));
        assert_eq!(current(root.path(), "g"), None);
        fs::remove_file(root.path().join("assets/a-1.css")).unwrap();
        assert_eq!(current(root.path(), "f"), None);
    }
}
