//! What stands between pieces of text that are put together: Chinese has marks of its own, as wide as its characters.

use std::fmt::Display;

use drydock_protocol::Language;

/// The marks of a language, with the space that follows them.
#[derive(Debug)]
pub struct Punctuation {
    colon: &'static str,
    comma: &'static str,
    stop: &'static str,
}

const LATIN: Punctuation = Punctuation { colon: ": ", comma: ", ", stop: ". " };
const CHINESE: Punctuation = Punctuation { colon: "：", comma: "，", stop: "。" };

/// The marks of a language.
#[must_use]
pub const fn punctuation(language: Language) -> &'static Punctuation {
    match language {
        Language::English => &LATIN,
        Language::TraditionalChinese | Language::SimplifiedChinese => &CHINESE,
    }
}

impl Punctuation {
    /// What follows the name of a thing.
    #[must_use]
    pub const fn colon(&self) -> &'static str {
        self.colon
    }

    /// A name, and what belongs to it.
    #[must_use]
    pub fn labelled(&self, name: impl Display, what: impl Display) -> String {
        format!("{name}{}{what}", self.colon)
    }

    /// A thing, and one more thing about it.
    #[must_use]
    pub fn and(&self, thing: impl Display, more: impl Display) -> String {
        format!("{thing}{}{more}", self.comma)
    }

    /// A sentence without its end, and another one.
    #[must_use]
    pub fn sentences(&self, first: impl Display, second: impl Display) -> String {
        format!("{first}{}{second}", self.stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_put_together_with_the_marks_of_the_language() {
        for (language, expected) in [
            (Language::English, "Zoom: 90 %, wide. Done."),
            (Language::TraditionalChinese, "Zoom：90 %，wide。Done."),
            (Language::SimplifiedChinese, "Zoom：90 %，wide。Done."),
        ] {
            let marks = punctuation(language);
            assert_eq!(marks.sentences(marks.and(marks.labelled("Zoom", "90 %"), "wide"), "Done."), expected);
        }
    }
}
