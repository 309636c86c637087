//! Line icons, 16 px, in the colour of the text around them; always decoration beside a name.

use leptos::prelude::*;

macro_rules! icons {
    ($($(#[doc = $doc:literal])* $name:ident: $path:literal;)*) => { $(
        $(#[doc = $doc])*
        pub(crate) fn $name() -> impl IntoView {
            view! {
                <svg class="size-4 shrink-0" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
                    <path d=$path />
                </svg>
            }
        }
    )* };
}

icons! {
    /// A clock.
    clock: "M8 1.8a6.2 6.2 0 1 0 0 12.4a6.2 6.2 0 0 0 0-12.4M8 4.8V8l2.2 1.6";
    /// Half a sun: switches the theme.
    theme: "M8 2.2a5.8 5.8 0 1 0 0 11.6ZM8 2.2a5.8 5.8 0 0 1 0 11.6M10 3.2v9.6M12 4.8v6.4";
    /// Two sheets: copies.
    copy: "M5.8 5.8h7.2v7.2H5.8ZM3 10.2V3h7.2";
    /// A hook: done.
    check: "M3 8.6l3.2 3.2L13 4.8";
    /// A triangle: plays.
    play: "M4.8 3l7.4 5l-7.4 5Z";
    /// Two bars: pauses.
    pause: "M5.2 3.4v9.2M10.8 3.4v9.2";
    /// To the begin of what is shown: a step back.
    back: "M11.6 3.2L5.2 8l6.4 4.8ZM3.6 3.4v9.2";
    /// To the end of what is shown: a step on.
    on: "M4.4 3.2L10.8 8l-6.4 4.8ZM12.4 3.4v9.2";
    /// A lightning: breaks something.
    bolt: "M9 1.8L3.6 9h3.6L6.6 14.2L12.4 7H8.6Z";
    /// A square: stops.
    stop: "M4 4h8v8H4Z";
    /// A cross: closes.
    cross: "M4 4l8 8M12 4l-8 8";
    /// A plus: adds.
    plus: "M8 3.2v9.6M3.2 8h9.6";
    /// An arrow to the right.
    arrow: "M3 8h10M9 4l4 4l-4 4";
    /// A folder: files.
    folder: "M2.2 12.6V3.8h4l1.6 1.8h6v7Z";
    /// Two panes side by side: splits.
    split: "M2.2 3h11.6v10H2.2ZM8 3v10";
    /// Three dots: more.
    more: "M3.5 8h.01M8 8h.01M12.5 8h.01";
    /// A pencil: opens in the editor.
    edit: "M3 13l.6-2.8L10.8 3l2.2 2.2l-7.2 7.2ZM9.4 4.4l2.2 2.2";
    /// A question mark in a ring.
    question: "M8 1.8a6.2 6.2 0 1 0 0 12.4a6.2 6.2 0 0 0 0-12.4M6.2 6.4a1.8 1.8 0 1 1 2.6 1.7c-.6.3-.8.6-.8 1.2M8 11.4h.01";
    /// An arrow out of a box: opens elsewhere.
    open: "M7 3.5H3.5v9h9V9M9.2 3.2h3.6v3.6M12.8 3.2L7.4 8.6";
    /// A small triangle downwards: opens a list.
    down: "M4.5 6.5L8 10l3.5-3.5";
}

/// The anchor of the name.
pub(crate) fn anchor() -> impl IntoView {
    view! {
        <svg class="size-5 shrink-0 text-accent-ink" viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
            <path d="M10 6.4a1.9 1.9 0 1 0 0-3.8a1.9 1.9 0 0 0 0 3.8ZM10 6.4V17M6.6 9h6.8M3.6 11.5c0 3.2 2.8 5.5 6.4 5.5s6.4-2.3 6.4-5.5" />
        </svg>
    }
}
