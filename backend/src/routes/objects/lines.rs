//! Bytes of a log to whole lines. What a container writes is hostile: a line without an end costs no more than this.

/// Longer lines are cut.
const LONGEST: usize = 4096;

/// The line that has not ended yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that these bytes end.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut out = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = LONGEST - self.rest.len().min(LONGEST);
            self.rest.extend(&text[..text.len().min(room)]);
            if ends {
                out.push(self.line());
            }
        }
        out
    }

    /// The last line, when nothing more comes.
    pub(super) fn rest(&mut self) -> Vec<String> {
        if self.rest.is_empty() { Vec::new() } else { vec![self.line()] }
    }

    fn line(&mut self) -> String {
        let bytes = std::mem::take(&mut self.rest);
        String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(&bytes)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_waits_for_its_end() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"one\ntw"), ["one"]);
        assert_eq!(lines.take(b"o\r\n\nthree"), ["two", ""]);
        assert_eq!(lines.rest(), ["three"]);
        assert!(lines.rest().is_empty());
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            assert!(lines.take(&[b'x'; 1000]).is_empty());
        }
        let whole = lines.take(b"\nnext\n");
        assert_eq!(whole.iter().map(String::len).collect::<Vec<_>>(), [LONGEST, 4]);
    }
}
