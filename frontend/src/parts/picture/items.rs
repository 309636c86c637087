//! The items of the picture.

mod item;
mod lanes;
mod nodes;
mod pods;

pub(super) use lanes::{Edges, Ingresses, Services, Workloads};
pub(super) use nodes::{Master, Nodes};
pub(super) use pods::Pods;

use leptos::prelude::*;

use super::Scene;
use crate::diagram::layout::ONE_LINE;
use crate::diagram::{Look, Rect};
use item::item;

/// The scene.
fn scene() -> Scene {
    expect_context()
}

/// Moves a group to a rectangle's corner; the style sheet makes it glide.
fn place(rect: Rect) -> String {
    format!("translate({:.1}px,{:.1}px)", rect.x, rect.y)
}

/// The shape of a look at a place.
fn sign(look: impl Fn() -> Look + Send + Sync + 'static, x: f64, y: f64) -> impl IntoView {
    view! { <path class="sign" d=move || look().shape() transform=format!("translate({x},{y})") /> }
}

/// A sign with two lines beside it, in the middle of a box.
fn two_lines(
    look: impl Fn() -> Look + Copy + Send + Sync + 'static,
    rect: impl Fn() -> Rect + Copy + Send + Sync + 'static,
    title: impl Fn() -> String + Send + Sync + 'static,
    line: impl Fn() -> String + Send + Sync + 'static,
) -> AnyView {
    // Where there is no room for the second line, there is none.
    let tall = Memo::new(move |_| rect().h >= ONE_LINE);
    view! {
        <g transform=move || format!("translate(0,{:.1})", rect().h / 2.0)>
            {sign(look, 17.0, 0.0)}
            <text class="strong" x="30" y=move || if tall.get() { "-3.5" } else { "4.5" }>{title}</text>
            <text class="minor" x="30" y="12" style:display=move || if tall.get() { "" } else { "none" }>{line}</text>
        </g>
    }
    .into_any()
}

/// How many characters of the first and the second line fit beside the sign.
fn room(rect: Rect) -> (usize, usize) {
    (((rect.w - 38.0) / 7.2).max(3.0) as usize, ((rect.w - 36.0) / 6.0).max(3.0) as usize)
}
