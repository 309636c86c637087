//! The join code: beside the grid, and large for the projector.

use leptos::prelude::*;

use super::controls::Clock;
use super::live::class_live;
use crate::classes::{BUTTON, CARD};
use crate::staff::accounts::{CopyButton, origin};
use crate::staff::qr;
use crate::staff::words::staff_words;

/// Code and link beside the grid.
#[component]
pub(super) fn CodeCard() -> impl IntoView {
    let texts = staff_words();
    let live = class_live();
    let code = Memo::new(move |_| live.class.with(|it| it.as_ref().map(|it| it.code.clone())).unwrap_or_default());
    let link = move || format!("{}/join/{}", origin(), code.get());
    view! {
        <section class=CARD>
            <h2 class="text-sm font-semibold text-muted">{move || texts.get().code}</h2>
            <p class="mt-1 font-mono text-3xl font-bold tracking-[0.16em]">{code}</p>
            <p class="mt-1 text-[13px] break-all text-muted">{link}</p>
            <div class="mt-3 flex flex-wrap gap-2">
                <a href="?show=code" class=BUTTON>{move || texts.get().show_code}</a>
                {move || view! { <CopyButton text=link() /> }}
            </div>
            <p class="mt-3 text-[13px] text-muted">
                {move || live.class.with(|it| it.as_ref().map(|it| (texts.get().kept_until)(&texts.moment(it.removed_millis))))}
            </p>
        </section>
    }
}

/// The whole window for the room to read: address, code, QR code, who is here.
#[component]
pub(super) fn Projector() -> impl IntoView {
    let texts = staff_words();
    let live = class_live();
    let facts = Memo::new(move |_| {
        live.class.with(|it| {
            it.as_ref().map(|it| (it.title.clone(), it.code.clone(), usize::from(it.joined), usize::from(it.size)))
        })
    });
    let title = move || facts.with(|it| it.as_ref().map(|it| it.0.clone()));
    let code = Memo::new(move |_| facts.with(|it| it.as_ref().map(|it| it.1.clone())).unwrap_or_default());
    let here = move || facts.with(|it| it.as_ref().map(|it| (texts.get().here)(it.2, it.3)));
    let address = format!("{}/join", window().location().host().unwrap_or_default());
    view! {
        <main id="main" tabindex="-1" class="fixed inset-0 z-30 flex flex-col overflow-auto bg-surface px-[4vw] py-[3vh] focus:outline-none">
            <div class="flex flex-wrap items-center gap-4">
                <h1 class="grow font-bold tracking-tight text-[clamp(1.5rem,2.6vw,3.2rem)]">{title}</h1>
                <Clock />
                <a href="?" class=BUTTON>{move || texts.get().hide_code}</a>
            </div>
            <div class="flex grow flex-wrap items-center justify-center gap-x-[5vw] gap-y-8 py-6">
                <div class="min-w-0">
                    <p class="text-muted text-[clamp(1.1rem,1.7vw,2rem)]">{move || texts.get().join_at}</p>
                    <p class="font-semibold break-all text-accent-ink text-[clamp(1.6rem,3.4vw,4rem)]">{address}</p>
                    <p class="mt-[3vh] text-muted text-[clamp(1.1rem,1.7vw,2rem)]">{move || texts.get().join_code}</p>
                    <p class="font-mono leading-none font-bold tracking-[0.08em] whitespace-nowrap text-[clamp(3rem,8.6vw,11rem)]" data-code>{code}</p>
                </div>
                // Dark on light in both themes, as cameras want it.
                {move || {
                    let drawing = qr::draw(&format!("{}/join/{}", origin(), code.get()));
                    let size = drawing.size;
                    view! {
                        <svg class="w-[clamp(13rem,24vw,30rem)] shrink-0 rounded-xl border border-line bg-white" viewBox=format!("0 0 {size} {size}") role="img" aria-label=texts.get().qr shape-rendering="crispEdges">
                            <path d=drawing.path fill="#000" />
                        </svg>
                    }
                }}
            </div>
            <p class="text-center font-medium text-[clamp(1.1rem,1.8vw,2.2rem)]" role="status">{here}</p>
        </main>
    }
}
