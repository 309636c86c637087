//! Copies a lesson's folder so that whoever watches sees it whole or not at all.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::lessons::Source;

/// Copies what the lesson consists of to `target/SLUG`, in place of what was there.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn copy(folder: &Path, target: &Path, source: &Source) -> anyhow::Result<()> {
    // Names with a dot in front are not taken for lessons.
    let (partial, old) = (target.join(format!(".{}.new", source.slug)), target.join(format!(".{}.old", source.slug)));
    let (place, fail) = (target.join(&source.slug), || format!("cannot write below {}", target.display()));
    for leftover in [&partial, &old] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).with_context(fail)?;
        }
    }
    fs::create_dir(&partial).with_context(fail)?;
    let texts = source.texts.iter().map(|(language, _)| format!("{}.md", language.tag()));
    let files = source.files.iter().map(|file| file.name.clone());
    for name in std::iter::once("lesson.toml".to_owned()).chain(texts).chain(files) {
        fs::copy(folder.join(&name), partial.join(&name)).with_context(fail)?;
    }
    if place.exists() {
        fs::rename(&place, &old).with_context(fail)?;
    }
    fs::rename(&partial, &place).with_context(fail)?;
    if old.exists() {
        fs::remove_dir_all(&old).with_context(fail)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lessons::read_folder;

    #[test]
    fn a_lesson_takes_the_place_of_its_former_version() {
        let folder = tempfile::tempdir().expect("tempdir");
        let (from, target) = (folder.path().join("x"), folder.path().join("own"));
        fs::create_dir_all(&from).expect("create");
        fs::create_dir_all(target.join("x")).expect("create");
        fs::write(target.join("x/gone.svg"), "<svg/>").expect("write");
        fs::write(from.join("lesson.toml"), "order = 1\nminutes = 1\n[[step]]\nid = \"a\"\n").expect("write");
        let text = "+++\ntitle = \"T\"\nsummary = \"S\"\ntopic = \"P\"\n+++\n## A {#a}\n![p](p.svg)\n";
        fs::write(from.join("en.md"), text).expect("write");
        fs::write(from.join("p.svg"), "<svg/>").expect("write");
        fs::write(from.join("notes.txt"), "mine").expect("write");
        copy(&from, &target, &read_folder(&from).expect("a lesson")).expect("copy");
        let mut names: Vec<_> =
            fs::read_dir(target.join("x")).expect("read").map(|entry| entry.expect("entry").file_name()).collect();
        names.sort();
        assert_eq!(names, ["en.md", "lesson.toml", "p.svg"]);
        assert_eq!(fs::read_dir(&target).expect("read").count(), 1);
    }
}
