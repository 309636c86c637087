//! Brings the lessons of folders into the database; a broken one is refused, the others load.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::folder::{self, Refused};
use crate::store::Store;

/// What an import did.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    /// What was left out.
    pub(crate) refused: Vec<Refused>,
    /// Lessons that are new, changed or gone.
    pub(crate) changed: Vec<String>,
}

/// What becomes of the stored version of a lesson whose folder is broken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It goes: at start, nothing is served that is not what the files say.
    Drop,
    /// It stays: learners are using it while its author has not finished a sentence.
    Keep,
}

/// Imports every lesson of `folders` and forgets those that are gone. A lesson in a later folder takes the place of one
/// of the same name in an earlier folder; a folder that is not there has no lessons.
///
/// # Errors
/// When the database fails.
pub(crate) async fn import(store: &Store, folders: &[PathBuf], broken: Broken) -> anyhow::Result<Imported> {
    let mut found = BTreeMap::new();
    for folder in folders {
        let lessons = match folder::lessons(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            lessons => lessons?,
        };
        found.extend(lessons.into_iter().map(|path| (folder::slug(&path), path)));
    }
    let mut imported = Imported::default();
    let mut slugs = Vec::new();
    for (slug, path) in found {
        match folder::read(&path) {
            Ok(source) => {
                let row = source.row()?;
                if store.lesson_fingerprint(&slug).await?.as_ref() != Some(&row.fingerprint) {
                    store.put_lesson(&row, &source.files).await?;
                    imported.changed.push(slug.clone());
                }
                slugs.push(slug);
            }
            Err(error) => {
                imported.refused.push(error);
                if broken == Broken::Keep {
                    slugs.push(slug);
                }
            }
        }
    }
    imported.changed.extend(store.keep_lessons(&slugs).await?);
    Ok(imported)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::store::example;

    const TOML: &str = "order = 1\nminutes = 5\n[[step]]\nid = \"a\"\n";
    const TEXT: &str = "+++\ntitle = \"T\"\nsummary = \"S\"\ntopic = \"P\"\n+++\n## A {#a}\n![A picture](a.svg)\n";

    fn write(folder: &Path, name: &str, text: &str) {
        fs::create_dir_all(folder).expect("create");
        fs::write(folder.join(name), text).expect("write");
    }

    #[tokio::test]
    async fn the_products_lessons_load() {
        let lessons = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lessons");
        let (_folder, store) = example::store().await;
        let imported = import(&store, &[lessons], Broken::Drop).await.expect("import");
        assert_eq!(imported.refused, []);
        assert!(!store.lessons().await.expect("lessons").is_empty());
    }

    #[tokio::test]
    async fn a_broken_lesson_is_named_and_the_others_load() {
        let (folder, store) = example::store().await;
        let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
        write(&ours.join("good"), "lesson.toml", TOML);
        write(&ours.join("good"), "en.md", TEXT);
        write(&ours.join("good"), "a.svg", "<svg/>");
        write(&ours.join("broken"), "lesson.toml", "order = \n");
        let folders = [ours.clone(), theirs.clone(), folder.path().join("nowhere")];
        let imported = import(&store, &folders[..1], Broken::Drop).await.expect("import");
        assert_eq!(imported.changed, ["good"]);
        assert_eq!(imported.refused.len(), 1);
        assert_eq!(imported.refused[0].file, "broken/lesson.toml");
        assert!(imported.refused[0].reason.starts_with("line 1: "), "{}", imported.refused[0].reason);
        assert_eq!(store.lesson_file("good", "a.svg").await.expect("file"), Some(b"<svg/>".to_vec()));

        let again = import(&store, &folders[..1], Broken::Drop).await.expect("again");
        assert!(again.changed.is_empty(), "an unchanged lesson is not imported again: {again:?}");

        // A lesson that becomes broken while it is used stays as it was; at the next start it goes.
        fs::remove_file(ours.join("good/a.svg")).expect("remove");
        let kept = import(&store, &folders[..1], Broken::Keep).await.expect("keep");
        assert!(kept.refused.iter().any(|it| it.reason.contains("line 7: there is no picture a.svg")), "{kept:?}");
        assert!(store.lesson("good").await.expect("lesson").is_some());
        let dropped = import(&store, &folders[..1], Broken::Drop).await.expect("drop");
        assert_eq!(dropped.changed, ["good"]);

        // The later folder wins.
        write(&ours.join("good"), "a.svg", "<svg/>");
        write(&theirs.join("good"), "lesson.toml", &TOML.replace("order = 1", "order = 7"));
        write(&theirs.join("good"), "en.md", &TEXT.replace("![A picture](a.svg)", "Text."));
        import(&store, &folders, Broken::Drop).await.expect("both");
        assert_eq!(store.lesson("good").await.expect("lesson").map(|row| row.position), Some(7));
        assert_eq!(store.lesson_file("good", "a.svg").await.expect("file"), None);
    }
}
