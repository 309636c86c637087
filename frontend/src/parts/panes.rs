//! Borders between panes that can be dragged, moved by arrow keys, and are remembered.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{HtmlElement, KeyboardEvent, PointerEvent};

use crate::settings::{recall, remember};

/// The share, in percent, that the first of two panes has.
#[derive(Clone, Copy)]
pub(crate) struct Split {
    /// The share.
    pub(crate) share: RwSignal<f64>,
    key: &'static str,
    limits: (f64, f64),
}

impl Split {
    /// The share remembered under `key`, or `default`; always within `limits`.
    pub(crate) fn remembered(key: &'static str, default: f64, limits: (f64, f64)) -> Self {
        let share = recall(key).and_then(|it| it.parse().ok()).filter(|it: &f64| it.is_finite()).unwrap_or(default);
        Self { share: RwSignal::new(share.clamp(limits.0, limits.1)), key, limits }
    }

    fn set(self, share: f64) {
        self.share.set(share.clamp(self.limits.0, self.limits.1));
    }

    fn keep(self) {
        remember(self.key, &format!("{:.1}", self.share.get_untracked()));
    }
}

/// The border between two panes of the element around it.
#[component]
pub(crate) fn Splitter(
    /// What it moves.
    split: Split,
    /// Whether the panes stand side by side (else one above the other).
    side_by_side: bool,
    /// Its name.
    #[prop(into)]
    name: Signal<&'static str>,
) -> impl IntoView {
    let bar = NodeRef::<html::Div>::new();
    let dragging = RwSignal::new(false);
    let share_at = move |event: &PointerEvent| {
        let around = bar.get_untracked()?.parent_element()?.get_bounding_client_rect();
        let (at, begin, length) = if side_by_side {
            (f64::from(event.client_x()), around.left(), around.width())
        } else {
            (f64::from(event.client_y()), around.top(), around.height())
        };
        (length > 0.0).then(|| (at - begin) / length * 100.0)
    };
    let down = move |event: PointerEvent| {
        event.prevent_default();
        if let Some(element) = event.target().and_then(|it| it.dyn_into::<HtmlElement>().ok()) {
            let _ = element.set_pointer_capture(event.pointer_id());
            let _ = element.focus();
        }
        dragging.set(true);
    };
    let moved = move |event: PointerEvent| {
        if dragging.get_untracked()
            && let Some(share) = share_at(&event)
        {
            split.set(share);
        }
    };
    let up = move |_| {
        if dragging.get_untracked() {
            dragging.set(false);
            split.keep();
        }
    };
    let key = move |event: KeyboardEvent| {
        let share = split.share.get_untracked();
        let next = match (event.key().as_str(), side_by_side) {
            ("ArrowLeft", true) | ("ArrowUp", false) => share - 2.0,
            ("ArrowRight", true) | ("ArrowDown", false) => share + 2.0,
            ("Home", _) => split.limits.0,
            ("End", _) => split.limits.1,
            _ => return,
        };
        event.prevent_default();
        split.set(next);
        split.keep();
    };
    let shape = if side_by_side {
        "w-px cursor-col-resize before:-inset-x-1.5 before:inset-y-0 pointer-coarse:before:-inset-x-3.5"
    } else {
        "h-px cursor-row-resize before:inset-x-0 before:-inset-y-1.5 pointer-coarse:before:-inset-y-3.5"
    };
    view! {
        <div
            node_ref=bar
            class=format!("splitter relative z-10 shrink-0 before:absolute before:content-[''] max-md:hidden {shape}")
            role="separator"
            tabindex="0"
            aria-orientation=if side_by_side { "vertical" } else { "horizontal" }
            aria-label=name
            aria-valuenow=move || format!("{:.0}", split.share.get())
            aria-valuemin=split.limits.0
            aria-valuemax=split.limits.1
            data-dragging=move || dragging.get().then_some("")
            on:pointerdown=down
            on:pointermove=moved
            on:pointerup=up
            on:pointercancel=up
            on:keydown=key
        ></div>
    }
}
