//! The languages that interface and lessons speak.

use serde::{Deserialize, Serialize};

/// A language of the interface or of a lesson's text, written as its BCP 47 tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// English, the one that every lesson has.
    #[default]
    #[serde(rename = "en")]
    English,
    /// 繁體中文.
    #[serde(rename = "zh-TW")]
    TraditionalChinese,
    /// 简体中文.
    #[serde(rename = "zh-CN")]
    SimplifiedChinese,
}

impl Language {
    /// All languages, in the order in which a switch offers them.
    pub const ALL: [Self; 3] = [Self::English, Self::TraditionalChinese, Self::SimplifiedChinese];

    /// The BCP 47 tag: `en`, `zh-TW` or `zh-CN`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::TraditionalChinese => "zh-TW",
            Self::SimplifiedChinese => "zh-CN",
        }
    }

    /// The language's own name for itself.
    #[must_use]
    pub const fn native_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::TraditionalChinese => "繁體中文",
            Self::SimplifiedChinese => "简体中文",
        }
    }

    /// The language that a tag such as `zh-Hant-HK`, `zh_CN` or `en-GB` asks for, or `None` when we do not speak it.
    ///
    /// A bare `zh` is read as Simplified, as browsers do; Hong Kong and Macau as Traditional.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim().to_ascii_lowercase().replace('_', "-");
        let mut parts = tag.split('-');
        match parts.next() {
            Some("en") => Some(Self::English),
            Some("zh") => {
                let parts: Vec<&str> = parts.collect();
                let traditional = if parts.contains(&"hant") {
                    true
                } else if parts.contains(&"hans") {
                    false
                } else {
                    parts.iter().any(|part| matches!(*part, "tw" | "hk" | "mo"))
                };
                Some(if traditional { Self::TraditionalChinese } else { Self::SimplifiedChinese })
            }
            _ => None,
        }
    }

    /// The first language we speak among `tags`, in their order; English when there is none.
    pub fn negotiate<'a>(tags: impl IntoIterator<Item = &'a str>) -> Self {
        tags.into_iter().find_map(Self::from_tag).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tag: &str, want: Option<Language>) {
        assert_eq!(Language::from_tag(tag), want, "{tag}");
    }

    #[test]
    fn tags_of_browsers() {
        check("en-GB", Some(Language::English));
        check("zh-TW", Some(Language::TraditionalChinese));
        check("zh_hant_hk", Some(Language::TraditionalChinese));
        check("zh-Hans-TW", Some(Language::SimplifiedChinese));
        check("zh-HK", Some(Language::TraditionalChinese));
        check("zh", Some(Language::SimplifiedChinese));
        check("de-DE", None);
        check("", None);
    }

    #[test]
    fn first_spoken_language_wins() {
        assert_eq!(Language::negotiate(["de", "zh-TW", "en"]), Language::TraditionalChinese);
        assert_eq!(Language::negotiate(["de"]), Language::English);
    }

    #[test]
    fn serde_uses_the_tag() {
        for language in Language::ALL {
            assert_eq!(serde_json::to_string(&language).unwrap(), format!("\"{}\"", language.tag()));
        }
    }
}
