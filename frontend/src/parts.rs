//! The parts that pages are made of.

mod checks;
mod class;
mod code;
mod details;
mod dialog;
mod faults;
mod header;
pub(crate) mod icons;
mod kubeconfig;
mod lesson;
mod menu;
mod panes;
mod picture;
mod ports;
mod sentence;
mod share;
mod start;
mod terminal;
mod terminals;
mod trace;

pub(crate) use class::ClassStrip;
pub(crate) use code::copy_text;
pub(crate) use dialog::{Confirm, open_while};
pub(crate) use header::{Brand, Choices, PlainHeader, SessionHeader, SkipLink};
pub(crate) use lesson::{LessonPane, Place};
pub(crate) use panes::{Split, Splitter};
pub(crate) use picture::Picture;
pub(crate) use sentence::{Sentence, explain};
pub(crate) use share::ComeIn;
pub(crate) use start::StartProgress;
pub(crate) use terminals::{Runner, Terminals};
pub(crate) use trace::{Player, TraceStrip};

use crate::inline::{Piece, pieces};
use leptos::prelude::*;

/// A short text in which back-ticks mark code.
pub(crate) fn inline(text: &str) -> Vec<AnyView> {
    let piece = |piece| match piece {
        Piece::Text(text) => text.into_any(),
        Piece::Code(code) => view! { <code class="inline-code">{code}</code> }.into_any(),
    };
    pieces(text).into_iter().map(piece).collect()
}
