//! Brings the lessons of a folder into the database; a broken one is refused, the others load.

use std::fs;
use std::path::Path;

use drydock_protocol::Language;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{definition, text};
use crate::store::{LessonRow, Store};

/// Why a lesson was refused.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{file}: {reason}")]
pub(crate) struct Refused {
    /// The file, below the folder of all lessons.
    pub(crate) file: String,
    /// What is wrong, with its line.
    pub(crate) reason: String,
}

/// Imports every lesson below `folder` and forgets those that are gone. Returns what was refused.
///
/// # Errors
/// When the folder cannot be read or the database fails.
pub(crate) async fn import(store: &Store, folder: &Path) -> anyhow::Result<Vec<Refused>> {
    let mut refused = Vec::new();
    let mut slugs = Vec::new();
    let mut folders: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    folders.sort_by_key(fs::DirEntry::file_name);
    for entry in folders {
        let slug = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().join("lesson.toml").is_file() {
            continue;
        }
        match read(&entry.path(), &slug) {
            Ok(row) => {
                if store.lesson_fingerprint(&slug).await?.as_ref() != Some(&row.fingerprint) {
                    store.put_lesson(&row).await?;
                }
                slugs.push(slug);
            }
            Err(error) => refused.push(error),
        }
    }
    store.keep_lessons(&slugs).await?;
    Ok(refused)
}

fn read(folder: &Path, slug: &str) -> Result<LessonRow, Refused> {
    let refuse = |file: &str, reason: String| Refused { file: format!("{slug}/{file}"), reason };
    let load = |file: &str| fs::read_to_string(folder.join(file)).map_err(|error| refuse(file, error.to_string()));
    let source = load("lesson.toml")?;
    let definition = definition::parse(&source).map_err(|reason| refuse("lesson.toml", reason))?;
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.update(&source);
    let mut texts = Vec::new();
    for language in Language::ALL {
        let file = format!("{}.md", language.tag());
        if language != Language::English && !folder.join(&file).is_file() {
            continue;
        }
        let source = load(&file)?;
        hash.update(&source);
        let text = text::parse(&source, &definition).map_err(|reason| refuse(&file, reason))?;
        if language == Language::English {
            let missing = definition.steps.iter().find(|step| !text.steps.iter().any(|text| text.id == step.id));
            if let Some(step) = missing {
                return Err(refuse(&file, format!("step {:?} has no text", step.id)));
            }
        }
        texts.push((language, to_json(&text).map_err(|reason| refuse(&file, reason))?));
    }
    Ok(LessonRow {
        slug: slug.to_owned(),
        position: definition.order,
        fingerprint: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        definition: to_json(&definition).map_err(|reason| refuse("lesson.toml", reason))?,
        texts,
    })
}

fn to_json(value: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_products_lessons_load_and_a_broken_one_is_named() {
        let lessons = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lessons");
        let folder = tempfile::tempdir().expect("tempdir");
        let store = Store::open(&folder.path().join("drydock.db")).await.expect("open");
        assert_eq!(import(&store, &lessons).await.expect("import"), []);
        let first = store.lessons().await.expect("lessons");
        assert!(first.iter().any(|lesson| lesson.slug == "first-pod"));

        let broken = folder.path().join("lessons/broken");
        fs::create_dir_all(&broken).expect("create");
        fs::write(broken.join("lesson.toml"), "order = \n").expect("write");
        let refused = import(&store, &folder.path().join("lessons")).await.expect("import");
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].file, "broken/lesson.toml");
        assert!(refused[0].reason.contains("line 1"), "{}", refused[0].reason);
        assert!(store.lessons().await.expect("lessons").is_empty(), "lessons whose folder is gone are forgotten");
    }
}
