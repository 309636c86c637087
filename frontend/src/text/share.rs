//! What the page says about letting others into a session.

/// The texts.
#[derive(Debug)]
pub struct ShareTexts {
    /// Opens the dialog, and its title.
    pub share: &'static str,
    /// What a link means.
    pub text: &'static str,
    /// A link for those who watch.
    pub watch: &'static str,
    /// A link for those who work along.
    pub work: &'static str,
    /// Makes a link void.
    pub revoke: &'static str,
    /// How many came by a link.
    pub guests: fn(u32) -> String,
}

pub(super) const EN: ShareTexts = ShareTexts {
    share: "Share",
    text: "Whoever has a link comes in, until you revoke it.",
    watch: "Link to watch",
    work: "Link to work together",
    revoke: "Revoke",
    guests: |count| if count == 1 { "1 guest".to_owned() } else { format!("{count} guests") },
};

pub(super) const ZH_TW: ShareTexts = ShareTexts {
    share: "分享",
    text: "取得連結的人都能加入，直到你撤銷連結。",
    watch: "觀看用連結",
    work: "協作用連結",
    revoke: "撤銷",
    guests: |count| format!("{count} 位訪客"),
};

pub(super) const ZH_CN: ShareTexts = ShareTexts {
    share: "分享",
    text: "拿到链接的人都能加入，直到你撤销链接。",
    watch: "观看链接",
    work: "协作链接",
    revoke: "撤销",
    guests: |count| format!("{count} 位访客"),
};
