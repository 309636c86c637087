//! A lesson's folder: read, and held against itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use drydock_protocol::Language;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::definition::{self, Definition};
use super::markdown::{Renderer, is_picture};
use super::text::{self, Text};
use crate::store::{LessonFile, LessonRow};

/// Raised when stored lessons take another form: all are imported again.
const FORM: u8 = 2;
/// No file of a lesson is larger than this.
const LARGEST: u64 = 512 * 1024;

/// Why a lesson was refused.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{file}: {reason}")]
pub(crate) struct Refused {
    /// The file, below the folder of all lessons.
    pub(crate) file: String,
    /// What is wrong, with its line.
    pub(crate) reason: String,
}

/// A lesson as its folder holds it.
pub(crate) struct Source {
    /// The folder's name.
    pub(crate) slug: String,
    pub(crate) definition: Definition,
    pub(crate) texts: Vec<(Language, Text)>,
    /// Texts as they are written, by language.
    pub(crate) written: BTreeMap<&'static str, String>,
    /// Pictures in the folder.
    pub(crate) files: Vec<LessonFile>,
    fingerprint: String,
}

/// The folders of lessons that `folder` holds: itself when it is one, else those below it; by name.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn lessons(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if folder.join("lesson.toml").is_file() {
        // `.` and the like have no name of their own.
        return Ok(vec![folder.canonicalize()?]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // A name with a dot in front is one that is being written.
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.join("lesson.toml").is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The name of a lesson's folder.
pub(crate) fn slug(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads a lesson's folder.
///
/// # Errors
/// What is wrong, with file and line.
pub(crate) fn read(folder: &Path) -> Result<Source, Refused> {
    let slug = slug(folder);
    let refuse = |file: &str, reason: String| Refused { file: format!("{slug}/{file}"), reason };
    let named = !slug.is_empty() && slug.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-');
    if !named || slug.len() > 60 {
        return Err(refuse("", "the folder is to be named with small letters, digits and '-'".to_owned()));
    }
    let load = |file: &str| load(&folder.join(file)).map_err(|reason| refuse(file, reason));
    let utf8 = |file: &str, bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| refuse(file, "this is no UTF-8 text".to_owned()))
    };
    let mut hash = Sha256::new();
    hash.update([FORM]);
    let mut take = |file: &str| -> Result<Vec<u8>, Refused> {
        let bytes = load(file)?;
        hash.update(file);
        hash.update(bytes.len().to_le_bytes());
        hash.update(&bytes);
        Ok(bytes)
    };
    let source = utf8("lesson.toml", take("lesson.toml")?)?;
    let definition = definition::parse(&source).map_err(|reason| refuse("lesson.toml", reason))?;
    let files = pictures(folder, &mut take).map_err(|reason| refuse("", reason))?;
    let mut texts = Vec::new();
    let mut written = BTreeMap::from([("lesson.toml", source)]);
    for language in Language::ALL {
        let file = format!("{}.md", language.tag());
        if language != Language::English && !folder.join(&file).is_file() {
            continue;
        }
        let source = utf8(&file, take(&file)?)?;
        let text = read_text(&slug, &source, &definition, &files).map_err(|reason| refuse(&file, reason))?;
        if language == Language::English {
            let missing = definition.steps.iter().find(|step| !text.steps.iter().any(|text| text.id == step.id));
            if let Some(step) = missing {
                return Err(refuse(&file, format!("step {:?} has no text", step.id)));
            }
        }
        texts.push((language, text));
        written.insert(language.tag(), source);
    }
    let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Source { slug, definition, texts, written, files, fingerprint })
}

fn load(file: &Path) -> Result<Vec<u8>, String> {
    let meta = fs::metadata(file).map_err(|error| error.to_string())?;
    if meta.len() > LARGEST {
        return Err(format!("the file is larger than {} KiB", LARGEST / 1024));
    }
    fs::read(file).map_err(|error| error.to_string())
}

fn pictures(folder: &Path, take: &mut impl FnMut(&str) -> Result<Vec<u8>, Refused>) -> Result<Vec<LessonFile>, String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
        names.push(entry.map_err(|error| error.to_string())?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let names = names.into_iter().filter(|name| is_picture(name));
    names.map(|name| Ok(LessonFile { bytes: take(&name).map_err(|refused| refused.to_string())?, name })).collect()
}

fn read_text(slug: &str, source: &str, definition: &Definition, files: &[LessonFile]) -> Result<Text, String> {
    let mut renderer = Renderer::new(slug);
    let text = text::parse(source, definition, &mut renderer)?;
    let line = |address: &str| {
        let place = source.find(&format!("]({address}")).unwrap_or_default();
        definition::line_at(source, place)
    };
    if let Some(address) = renderer.foreign.first() {
        let line = line(address);
        return Err(format!("line {line}: {address:?} is no picture of the lesson's folder (NAME.svg or NAME.png)"));
    }
    let missing = renderer.pictures.iter().find(|name| !files.iter().any(|file| file.name == **name));
    if let Some(name) = missing {
        return Err(format!("line {}: there is no picture {name} in the lesson's folder", line(name)));
    }
    Ok(text)
}

impl Source {
    /// As it is stored.
    ///
    /// # Errors
    /// When JSON cannot hold it, which does not happen.
    pub(super) fn row(&self) -> serde_json::Result<LessonRow> {
        let texts = self.texts.iter().map(|(language, text)| Ok((*language, serde_json::to_string(text)?)));
        Ok(LessonRow {
            slug: self.slug.clone(),
            position: self.definition.order,
            fingerprint: self.fingerprint.clone(),
            definition: serde_json::to_string(&self.definition)?,
            texts: texts.collect::<serde_json::Result<_>>()?,
        })
    }
}
