//! Environment files on volumes (`fileKeyRef`): variables in single quotes, one declaration after another.

use std::io::Read;
use std::path::Path;

/// What there is of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EnvFile {
    /// Its text.
    Text(String),
    /// There is none.
    Missing,
    /// It cannot be read, or is too long to be one.
    Unusable,
}

/// No environment file is longer.
const LIMIT: u64 = 1 << 20;

/// Reads a file of a volume; links never lead out of it.
pub(crate) fn read(volume: &Path, path: &str) -> EnvFile {
    let open = || -> std::io::Result<Option<String>> {
        let file = std::fs::File::from(drydock_container_runtime::open_inside(volume, Path::new(path))?);
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(LIMIT + 1).read_to_end(&mut bytes)?;
        Ok(String::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= LIMIT))
    };
    match open() {
        Ok(Some(text)) => EnvFile::Text(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => EnvFile::Missing,
        Ok(None) | Err(_) => EnvFile::Unusable,
    }
}

/// The value of a variable; `None` when the file does not declare it.
///
/// # Errors
/// What is wrong with a declaration on the way to it.
pub(crate) fn value(text: &str, key: &str) -> Result<Option<String>, String> {
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).zip(1..);
    while let Some((line, number)) = lines.next() {
        let line = line.trim_start_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| format!("invalid environment variable format at line {number}: {what}");
        let (name, rest) = line.split_once('=').ok_or_else(|| wrong("missing '='"))?;
        if name.trim_end_matches([' ', '\t']).is_empty() {
            return Err(wrong("empty variable name"));
        }
        if name.ends_with([' ', '\t']) {
            return Err(wrong("whitespace before '=' is not allowed"));
        }
        if rest.starts_with([' ', '\t']) {
            // As in a shell: nothing is assigned, and the rest of the line is a command's.
            if name == key {
                return Ok(None);
            }
            continue;
        }
        let quoted = rest.strip_prefix('\'').ok_or_else(|| wrong("value must be enclosed in single quotes"))?;
        let (mut value, mut piece) = (String::new(), quoted);
        let after = loop {
            if let Some((end, after)) = piece.split_once('\'') {
                value.push_str(end);
                break after.trim_start_matches([' ', '\t']);
            }
            value.push_str(piece);
            value.push('\n');
            piece = lines.next().map(|(line, _)| line).ok_or_else(|| {
                format!("invalid environment variable format starting at line {number}: unclosed single quote")
            })?;
        };
        if !after.is_empty() && !after.starts_with('#') {
            return Err(wrong("unexpected content after closing quote"));
        }
        if name == key {
            return Ok(Some(value).filter(|value| !value.is_empty()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations() {
        let text = "# first\n\n  A='one two' # why\r\nB='two\nlines'\nC=''\nD= 'x'\nE='last'\n";
        for (key, expected) in [
            ("A", Some("one two")),
            ("B", Some("two\nlines")),
            ("C", None),
            ("D", None),
            ("E", Some("last")),
            ("F", None),
        ] {
            assert_eq!(value(text, key).unwrap().as_deref(), expected, "{key}");
        }
        for (text, expected) in [
            ("A", "line 1: missing '='"),
            ("\n='x'", "line 2: empty variable name"),
            ("A ='x'", "line 1: whitespace before '=' is not allowed"),
            ("A=x", "line 1: value must be enclosed in single quotes"),
            ("A='x' y", "line 1: unexpected content after closing quote"),
            ("A='x\ny", "starting at line 1: unclosed single quote"),
        ] {
            let error = value(text, "Z").unwrap_err();
            assert!(error.ends_with(expected), "{error}");
        }
    }

    #[test]
    fn links_stay_in_the_volume() {
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join("env"), "A='1'").unwrap();
        std::os::unix::fs::symlink("/env", folder.path().join("inside")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("outside")).unwrap();
        assert_eq!(read(folder.path(), "inside"), EnvFile::Text("A='1'".to_owned()));
        assert_eq!(read(folder.path(), "outside"), EnvFile::Missing);
        assert_eq!(read(folder.path(), "../env"), EnvFile::Text("A='1'".to_owned()));
        assert_eq!(read(folder.path(), "."), EnvFile::Unusable);
    }
}
