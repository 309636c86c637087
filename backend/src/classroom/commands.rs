//! Command lines in a terminal's output. Shells of a class tell theirs by a sequence that terminals do not show:
//! `ESC ] 633 ; E ; <history number> <line> BEL`, as editors' shell integrations do. Pure.
//!
//! Whatever runs in the terminal can write such a sequence; what it says is shown as text, bounded, and believed by nobody.

/// What the workstation's shell writes before it runs a command line.
pub(crate) const BEFORE_COMMAND: &str = r"\e]633;E;$(HISTTIMEFORMAT= history 1)\a";

/// How each begins.
const BEGIN: &[u8] = b"\x1b]633;E;";
/// The longest line that is kept.
const LONGEST: usize = 600;

/// Finds command lines in a stream of output.
#[derive(Debug, Default)]
pub(crate) struct CommandLines {
    /// Bytes of [`BEGIN`] that were seen.
    matched: usize,
    /// The line so far.
    line: Vec<u8>,
}

impl CommandLines {
    /// The last command line that ended in a piece of output.
    pub(crate) fn last(&mut self, output: &[u8]) -> Option<String> {
        let mut found = None;
        let mut rest = output;
        while !rest.is_empty() {
            if self.matched == 0 {
                // Most output has none.
                let Some(escape) = rest.iter().position(|byte| *byte == BEGIN[0]) else { break };
                rest = &rest[escape..];
            }
            let byte = rest[0];
            if self.matched < BEGIN.len() {
                if byte == BEGIN[self.matched] {
                    self.matched += 1;
                } else {
                    self.matched = 0;
                    if byte == BEGIN[0] {
                        continue;
                    }
                }
            } else if byte == 7 {
                found = read(&self.line).or(found);
                self.forget();
            } else if byte == BEGIN[0] || self.line.len() >= LONGEST {
                self.forget();
                continue;
            } else {
                self.line.push(byte);
            }
            rest = &rest[1..];
        }
        found
    }

    fn forget(&mut self) {
        self.matched = 0;
        self.line.clear();
    }
}

/// A line of `history` without its number.
fn read(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_start();
    let text = text.trim_start_matches(|letter: char| letter.is_ascii_digit()).trim_start_matches('*').trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &str, expected: Option<&str>) {
        assert_eq!(CommandLines::default().last(output.as_bytes()).as_deref(), expected, "{output:?}");
        // However it is cut.
        let mut lines = CommandLines::default();
        let found = output.as_bytes().chunks(1).fold(None, |found, byte| lines.last(byte).or(found));
        assert_eq!(found.as_deref(), expected, "{output:?} byte by byte");
    }

    #[test]
    fn command_lines_in_output() {
        check("nothing here", None);
        check("$ \x1b]633;E;   12  kubectl get pods\x07NAME READY", Some("kubectl get pods"));
        check("\x1b[1m\x1b\x1b]633;E; 1* ls\x07", Some("ls"));
        check("\x1b]633;E;1 a\x07 \x1b]633;E;2 b\x07", Some("b"));
        check("\x1b]633;E;1 never ended", None);
        check("\x1b]633;E;1 broken \x1b]633;E;2 whole\x07", Some("whole"));
        check("\x1b]0;title\x07", None);
        check("\x1b]633;E;  \x07", None);
        check(&format!("\x1b]633;E;1 {}\x07", "x".repeat(LONGEST)), None);
        check("\x1b]633;E;3 echo 你好\x07", Some("echo 你好"));
    }
}
