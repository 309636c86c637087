//! Files of the workstation's home folder: listed, read and written for the page's editor, upload and download.
//!
//! All of it happens inside the workstation, with the learner's own rights (its files are mounted nowhere else): what a name leads to there (a link, a folder of
//! another file system) is theirs anyway. Sizes and times are bounded here.

use drydock_engine::host::{ExecOutput, NodeHost};
use drydock_engine::native::WORKSTATION;
use drydock_protocol::file::{FILE_LIMIT, LIST_LIMIT, PathProblem, check_path};
use drydock_protocol::{HomeFile, HomeFiles};

use crate::error::Error;

/// Bytes of a file that go with one command; larger files take several.
const PIECE: usize = 512 * 1024;
/// Bytes of one argument of a command before base64; Linux allows 128 KiB for one.
pub(super) const ARGUMENT: usize = 90 * 1024;

/// Size and path of each visible file.
const LIST: &str = r#"cd "$HOME" && find . -xdev -mindepth 1 -maxdepth 4 -name '.*' -prune -o -type f -printf '%s %P\0' | head -z -n "$1""#;
/// The size of a plain file; 3 when there is none.
const SIZE: &str = r#"cd "$HOME" && [ -f "$1" ] || exit 3; stat -Lc %s -- "$1""#;
/// So many bytes of a file from a place on, counted from 1.
const READ: &str = r#"cd "$HOME" && tail -c "+$2" -- "$1" | head -c "$3""#;
/// Appends pieces to a file beside the wanted one, which takes its place at the end.
const WRITE: &str = r#"set -e; cd "$HOME"; f=$1; t=$2; part=$3; shift 3
case $part in first|only) [ ! -d "$f" ] || exit 3; mkdir -p -- "$(dirname -- "$f")"; : > "$t";; esac
for piece; do printf %s "$piece" | base64 -d >> "$t"; done
case $part in last|only) [ ! -f "$f" ] || chmod --reference="$f" "$t"; mv -fT -- "$t" "$f";; esac"#;
const DROP: &str = r#"cd "$HOME" && rm -f -- "$1""#;

/// Runs a script of ours in the workstation, for so many seconds at most.
pub(super) async fn script(
    host: &dyn NodeHost,
    session: &str,
    seconds: u32,
    script: &str,
    arguments: Vec<String>,
) -> Result<ExecOutput, Error> {
    let limit = seconds.to_string();
    let fixed = ["timeout", "-k", "1", &limit, "env", "HOME=/root", "bash", "-c", script, "drydock"];
    let argv: Vec<String> = fixed.into_iter().map(str::to_owned).chain(arguments).collect();
    Ok(host.exec(session, WORKSTATION, &argv).await?)
}

fn checked(path: &str) -> Result<(), Error> {
    check_path(path).map_err(|problem| {
        let sentence = match problem {
            PathProblem::Length => "A file's path has 1 to 255 bytes.",
            PathProblem::Outside => {
                "A file's path is relative to the home folder and stays in it, such as lab/web.yaml."
            }
            PathProblem::Characters => "A file's path has no control characters.",
        };
        Error::Invalid(sentence.to_owned())
    })
}

/// The visible files, by path.
///
/// # Errors
/// When the workstation does not answer.
pub(super) async fn list(host: &dyn NodeHost, session: &str) -> Result<HomeFiles, Error> {
    let output = script(host, session, 10, LIST, vec![(LIST_LIMIT + 1).to_string()]).await?;
    Ok(read_list(&output.stdout))
}

fn read_list(output: &[u8]) -> HomeFiles {
    let entry = |entry: &[u8]| {
        let (bytes, path) = std::str::from_utf8(entry).ok()?.split_once(' ')?;
        check_path(path).ok()?;
        Some(HomeFile { path: path.to_owned(), bytes: bytes.parse().ok()? })
    };
    let mut files: Vec<HomeFile> = output.split(|byte| *byte == 0).filter_map(entry).collect();
    let more = files.len() > LIST_LIMIT;
    files.truncate(LIST_LIMIT);
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    HomeFiles { files, more }
}

/// A file's content.
///
/// # Errors
/// When there is no such file, or it is too large.
pub(super) async fn read(host: &dyn NodeHost, session: &str, path: &str) -> Result<Vec<u8>, Error> {
    checked(path)?;
    let output = script(host, session, 10, SIZE, vec![path.to_owned()]).await?;
    let size = std::str::from_utf8(&output.stdout).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let size = size.ok_or_else(|| Error::NotFound(format!("There is no file ~/{path} in the workstation.")))?;
    if size > FILE_LIMIT {
        return Err(Error::TooLarge(format!(
            "~/{path} has {} MiB; files up to {} MiB can be downloaded.",
            size >> 20,
            FILE_LIMIT >> 20
        )));
    }
    let mut content = Vec::new();
    while (content.len() as u64) < size {
        // A file that grows while it is read has the size that it had.
        let (from, room) = (content.len() + 1, (size as usize - content.len()).min(PIECE));
        let arguments = vec![path.to_owned(), from.to_string(), room.to_string()];
        let piece = script(host, session, 20, READ, arguments).await?.stdout;
        if piece.is_empty() {
            break;
        }
        content.extend_from_slice(&piece);
    }
    Ok(content)
}

/// Writes a file, whole or not at all; folders on its way are made.
///
/// # Errors
/// When the path is no file's, or the workstation cannot write.
pub(super) async fn write(host: &dyn NodeHost, session: &str, path: &str, content: &[u8]) -> Result<HomeFile, Error> {
    checked(path)?;
    let aside = format!(".drydock-{:016x}", rand::random::<u64>());
    let count = content.len().div_ceil(PIECE).max(1);
    for number in 0..count {
        let part = match (number == 0, number + 1 == count) {
            (true, true) => "only",
            (true, false) => "first",
            (false, true) => "last",
            (false, false) => "more",
        };
        let piece = &content[(number * PIECE).min(content.len())..((number + 1) * PIECE).min(content.len())];
        let mut arguments = vec![path.to_owned(), aside.clone(), part.to_owned()];
        arguments.extend(piece.chunks(ARGUMENT).map(encode));
        let output = script(host, session, 20, WRITE, arguments).await?;
        if output.code != 0 {
            script(host, session, 5, DROP, vec![aside]).await?;
            let said = String::from_utf8_lossy(&output.stderr);
            let said =
                said.lines().next().unwrap_or("there is a folder of that name").rsplit(": ").next().unwrap_or_default();
            return Err(Error::Conflict(format!("~/{path} cannot be written: {}.", said.trim().to_lowercase())));
        }
    }
    Ok(HomeFile { path: path.to_owned(), bytes: content.len() as u64 })
}

/// Base64, as RFC 4648 has it.
pub(super) fn encode(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let value = group.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(value >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("\u{ff}~", "w79+")]
        {
            assert_eq!(encode(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn an_argument_fits_what_linux_allows() {
        assert!(encode(&[0; ARGUMENT]).len() < 128 * 1024);
        assert!(drydock_protocol::file::EDIT_LIMIT as usize <= ARGUMENT);
    }

    #[test]
    fn lists_are_sorted_and_bounded() {
        let listed = read_list(b"12 b.yaml\x000 a/c d.yaml\x00x bad\x005 \x00");
        let paths: Vec<_> = listed.files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
        assert_eq!((paths, listed.more), (vec![("a/c d.yaml", 0), ("b.yaml", 12)], false));
        let many: String = (0..=LIST_LIMIT).map(|number| format!("1 f{number}\0")).collect();
        let listed = read_list(many.as_bytes());
        assert_eq!((listed.files.len(), listed.more), (LIST_LIMIT, true));
    }
}
