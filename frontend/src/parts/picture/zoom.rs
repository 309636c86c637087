//! How large the picture is drawn: by buttons, + − 0, and the wheel with Ctrl. Only the drawing grows; places stay.

use leptos::html;
use leptos::prelude::*;
use web_sys::{KeyboardEvent, WheelEvent};

use crate::settings::words;

/// Least and largest size.
const LIMITS: (f64, f64) = (0.4, 3.0);
/// A press of a button or key.
const STEP: f64 = 1.2;
/// Wheel pixels that make the picture e times as large.
const WHEEL: f64 = 400.0;

/// A small button of the row above the picture.
const BUTTON: &str = "min-w-6 cursor-pointer rounded px-1 py-0.5 text-center font-medium tabular-nums hover:bg-sunken disabled:cursor-default disabled:opacity-50";

/// The size, and the element that scrolls.
#[derive(Clone, Copy)]
pub(crate) struct Zoom {
    /// 1 is as large as the layout says.
    pub(crate) scale: RwSignal<f64>,
    place: NodeRef<html::Div>,
}

impl Zoom {
    pub(super) fn new(place: NodeRef<html::Div>) -> Self {
        Self { scale: RwSignal::new(1.0), place }
    }

    /// Whether it is as large as the layout says.
    pub(super) fn is_plain(self) -> bool {
        self.scale.with_untracked(|it| *it == 1.0)
    }

    /// Draws at another scale; what lies at `anchor`, in pixels of the place, stays there. Without one it is the middle.
    fn set(self, scale: f64, anchor: Option<(f64, f64)>) {
        let before = self.scale.get_untracked();
        let scale = scale.clamp(LIMITS.0, LIMITS.1);
        // Steps up and down lead back to exactly 1.
        let scale = if (scale - 1.0).abs() < 0.02 { 1.0 } else { scale };
        let Some(place) = self.place.get_untracked() else { return };
        let (x, y) = anchor.unwrap_or((f64::from(place.client_width()) / 2.0, f64::from(place.client_height()) / 2.0));
        let grown = scale / before;
        let left = (f64::from(place.scroll_left()) + x) * grown - x;
        let top = (f64::from(place.scroll_top()) + y) * grown - y;
        self.scale.set(scale);
        // Once it is drawn at its new size there is room to scroll.
        request_animation_frame(move || {
            place.set_scroll_left(left.round() as i32);
            place.set_scroll_top(top.round() as i32);
        });
    }

    fn by(self, factor: f64) {
        self.set(self.scale.get_untracked() * factor, None);
    }

    /// Takes a key, if it is one of its own.
    pub(super) fn key(self, event: &KeyboardEvent) {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        match event.key().as_str() {
            "+" | "=" => self.by(STEP),
            "-" => self.by(1.0 / STEP),
            "0" => self.set(1.0, None),
            _ => return,
        }
        event.prevent_default();
    }

    /// Takes the wheel while Ctrl is held, which two fingers on a touchpad are told as, too.
    pub(super) fn wheel(self, event: &WheelEvent) {
        if !event.ctrl_key() {
            return;
        }
        event.prevent_default();
        let Some(place) = self.place.get_untracked() else { return };
        let around = place.get_bounding_client_rect();
        let anchor = (f64::from(event.client_x()) - around.left(), f64::from(event.client_y()) - around.top());
        self.set(self.scale.get_untracked() * (-event.delta_y() / WHEEL).exp(), Some(anchor));
    }
}

/// Smaller, as it was, larger.
#[component]
pub(crate) fn ZoomButtons(zoom: Zoom) -> impl IntoView {
    let words = words();
    let percent = move || format!("{:.0} %", zoom.scale.get() * 100.0);
    view! {
        <div class="flex items-center text-muted" role="group" aria-label=move || words.get().scene.zoom>
            <button class=BUTTON aria-label=move || words.get().scene.zoom_out title=move || words.get().scene.zoom_out disabled=move || { zoom.scale.get() <= LIMITS.0 } on:click=move |_| zoom.by(1.0 / STEP)>"−"</button>
            <button class=BUTTON data-zoom aria-label=move || words.marks().labelled(words.get().scene.zoom_reset, percent()) title=move || words.get().scene.zoom_reset on:click=move |_| zoom.set(1.0, None)>{percent}</button>
            <button class=BUTTON aria-label=move || words.get().scene.zoom_in title=move || words.get().scene.zoom_in disabled=move || { zoom.scale.get() >= LIMITS.1 } on:click=move |_| zoom.by(STEP)>"+"</button>
        </div>
    }
}
