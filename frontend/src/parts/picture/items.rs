//! The items of the picture.

mod item;
mod lanes;
mod nodes;
mod pods;

pub(super) use lanes::{Deployments, Edges, Services};
pub(super) use nodes::{Master, Nodes};
pub(super) use pods::Pods;

use leptos::prelude::*;

use super::Scene;
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
