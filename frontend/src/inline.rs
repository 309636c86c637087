//! Short plain texts in which back-ticks mark code.

use std::collections::BTreeMap;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Words.
    Text(String),
    /// Code.
    Code(String),
}

/// Splits at pairs of back-ticks; a lone one stays as it is.
#[must_use]
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once('`') {
        let Some((code, after)) = tail.split_once('`') else { break };
        if !before.is_empty() {
            out.push(Piece::Text(before.to_owned()));
        }
        if !code.is_empty() {
            out.push(Piece::Code(code.to_owned()));
        }
        rest = after;
    }
    if !rest.is_empty() {
        out.push(Piece::Text(rest.to_owned()));
    }
    out
}

/// Puts values into the places `{name}` of clean HTML, as plain text whatever they hold. Other braces stay as they are.
#[must_use]
pub fn fill(html: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, tail)) = rest.split_once('{') {
        out.push_str(before);
        match tail.split_once('}').and_then(|(name, after)| Some((values.get(name)?, after))) {
            Some((value, after)) => {
                for character in value.chars() {
                    match character {
                        '<' => out.push_str("&lt;"),
                        '>' => out.push_str("&gt;"),
                        '&' => out.push_str("&amp;"),
                        '"' => out.push_str("&quot;"),
                        '\'' => out.push_str("&#39;"),
                        _ => out.push(character),
                    }
                }
                rest = after;
            }
            None => {
                out.push('{');
                rest = tail;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Shortens a Kubernetes name to `max` characters of usual width, keeping its begin and the random end that tells pods apart.
#[must_use]
pub fn shorten(name: &str, max: usize) -> String {
    // A name of many wide letters needs the room of more characters; half of one does not show.
    let too_wide = |text: &str| {
        let wide = text.chars().filter(|it| matches!(it, 'm' | 'w' | 'M' | 'W')).count();
        2 * text.chars().count() + wide > 2 * max + 2
    };
    let mut room = max;
    let mut out = cut(name, room);
    while too_wide(&out) && room > 4 {
        room -= 1;
        out = cut(name, room);
    }
    out
}

fn cut(name: &str, max: usize) -> String {
    let count = name.chars().count();
    if count <= max {
        return name.to_owned();
    }
    let tail = if max >= 10 { 5 } else { max / 3 };
    let head = max.saturating_sub(tail + 1);
    let begin: String = name.chars().take(head).collect();
    let end: String = name.chars().skip(count - tail).collect();
    format!("{begin}…{end}")
}

/// The end of a name, where there is room for `max` characters.
#[must_use]
pub fn ending(name: &str, max: usize) -> String {
    let count = name.chars().count();
    if count <= max {
        name.to_owned()
    } else {
        ['…'].into_iter().chain(name.chars().skip(count - max.saturating_sub(1))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(it: &str) -> Piece {
        Piece::Text(it.into())
    }

    fn code(it: &str) -> Piece {
        Piece::Code(it.into())
    }

    #[test]
    fn back_ticks_mark_code() {
        assert_eq!(
            pieces("Service `web` selects `3` Pods"),
            [text("Service "), code("web"), text(" selects "), code("3"), text(" Pods")]
        );
        assert_eq!(pieces("`a`"), [code("a")]);
        assert_eq!(pieces("a ` b"), [text("a ` b")]);
        assert_eq!(pieces(""), []);
    }

    #[test]
    fn values_are_text_and_never_markup() {
        let values = [("app", "<img src=x onerror='x'>"), ("n", "{app}")];
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(
            fill("<code>{app}</code> {n} {other} {", &values),
            "<code>&lt;img src=x onerror=&#39;x&#39;&gt;</code> {app} {other} {"
        );
    }

    #[test]
    fn ends_tell_replicas_apart() {
        assert_eq!(ending("web-7d9f6c5b8d-4kzqp", 6), "…4kzqp");
        assert_eq!(ending("t", 6), "t");
        assert_eq!(ending("web", 0), "…");
    }

    #[test]
    fn names_keep_both_ends() {
        assert_eq!(shorten("web", 12), "web");
        assert_eq!(shorten("web-7d9f6c5b8d-4kzqp", 12), "web-7d…4kzqp");
        assert_eq!(shorten("web-7d9f6c5b8d-4kzqp", 6), "web…qp");
        assert_eq!(shorten("服務網路叢集", 4), "服務…集");
        assert_eq!(shorten("web-56c7456648-mbkmw", 15), "web-56c7…mbkmw");
        assert_eq!(shorten("mmmm", 4), "mmmm");
    }
}
