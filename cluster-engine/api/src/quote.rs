//! Go's `%q`: upstream's messages quote with it, and clients compare those messages.

use std::fmt::Write;

/// Quotes a string as Go's `strconv.Quote` does.
pub fn go_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x10000 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
        }
    }
    out.push('"');
    out
}

/// Go's `unicode.IsPrint`, near enough: Rust's Debug escapes what it deems unprintable.
fn is_printable(c: char) -> bool {
    c == ' ' || (!c.is_whitespace() && (c == '\'' || c.escape_debug().len() == 1))
}

#[cfg(test)]
mod tests {
    use super::go_quote;

    #[test]
    fn quotes_as_go_does() {
        for (text, want) in [
            ("a b", r#""a b""#),
            ("it's", r#""it's""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\n\u{1}", r#""\n\x01""#),
            ("héllo 世界", "\"héllo 世界\""),
            ("\u{200b}", r#""\u200b""#),
        ] {
            assert_eq!(go_quote(text), want, "{text:?}");
        }
    }
}
