//! A learner's terminal: to look at, and to type in where the learner agreed.

mod screen;

use drydock_protocol::class::Joint;
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

use super::grid::{Sign, Steps, look_name};
use super::live::class_live;
use super::tell::Tell;
use crate::classes::{BUTTON, BUTTON_DANGER, BUTTON_MAIN, CARD, PILL};
use crate::format;
use crate::parts::{Confirm, icons};
use crate::staff::api;
use crate::staff::loaded::Doing;
use crate::staff::person::Notice;
use crate::staff::roster::Look;
use crate::staff::words::staff_words;
use screen::Screen;

/// The page of a learner.
#[component]
pub(super) fn WatchPage(id: u32) -> impl IntoView {
    let texts = staff_words();
    let live = class_live();
    let is_there = Memo::new(move |_| live.roster.with(|it| it.contains_key(&id)));
    move || {
        if is_there.get() {
            return view! { <Watched id /> }.into_any();
        }
        view! {
            <main id="main">
                <Notice
                    title=Signal::derive(move || texts.get().gone_title.to_owned())
                    text=Signal::derive(move || texts.get().absent_text.to_owned())
                >
                    <a href="?" class=BUTTON_MAIN>{move || texts.get().hide_code}</a>
                </Notice>
            </main>
        }
        .into_any()
    }
}

#[component]
fn Watched(id: u32) -> impl IntoView {
    let texts = staff_words();
    let live = class_live();
    let navigate = use_navigate();
    let learner = live.learner(id);
    let doing = Doing::new();
    let removing = RwSignal::new(false);
    let name = move || learner.with(|it| it.as_ref().map(|it| it.name.clone())).unwrap_or_default();
    let look = Memo::new(move |_| learner.with(|it| it.as_ref().map_or(Look::Well, Look::of)));
    let joint = Memo::new(move |_| learner.with(|it| it.as_ref().map(|it| it.joint).unwrap_or_default()));
    let failing =
        move || learner.with(|it| it.as_ref().and_then(|it| it.failing.clone().or_else(|| it.reason.clone())));
    let command = move || learner.with(|it| it.as_ref().and_then(|it| it.last_command.clone()));
    let since = Memo::new(move |_| learner.with(|it| it.as_ref().map_or(0, |it| it.step_since_millis)));
    let on_step = move || {
        let since = since.get();
        (since > 0).then(|| format!("{} {}", format::clock(live.now.get().saturating_sub(since)), texts.get().on_step))
    };
    let ask = move |ask: bool| {
        let class = live.id.get_value();
        doing.run(async move { api::joint(&class, id, ask).await }, |()| {});
    };
    let helped = move |_| {
        let class = live.id.get_value();
        doing.run(async move { api::lower_hand(&class, id).await }, |()| {});
    };
    let remove = Callback::new(move |()| {
        let class = live.id.get_value();
        let navigate = navigate.clone();
        doing.run(async move { api::remove_learner(&class, id).await }, move |()| navigate("?", Default::default()));
    });
    let mode = move || match joint.get() {
        Joint::Granted => (texts.get().joint_on, "text-accent-ink border-accent"),
        Joint::Asked => (texts.get().joint_asked, "text-warn-ink"),
        Joint::Declined => (texts.get().joint_no, "text-muted"),
        Joint::No => (texts.get().read_only, "text-muted"),
    };
    view! {
        <main id="main" tabindex="-1" class="flex h-[calc(100dvh-3.25rem)] min-h-[34rem] flex-col focus:outline-none">
            <div class="flex flex-wrap items-center gap-x-4 gap-y-2 border-b border-line px-6 py-3">
                <a href="?" class=BUTTON>{move || texts.get().hide_code}</a>
                <h1 class="flex min-w-0 grow items-center gap-2.5 text-xl font-bold">
                    <Sign look />
                    <span class="truncate">{name}</span>
                    <span class="text-sm font-normal text-muted">{move || look_name(look.get(), texts)}</span>
                </h1>
                <span class=move || format!("{PILL} {}", mode().1) role="status">{move || mode().0}</span>
                {move || match joint.get() {
                    Joint::Granted | Joint::Asked => view! { <button class=BUTTON disabled=doing.busy on:click=move |_| ask(false)>{texts.get().joint_end}</button> }.into_any(),
                    Joint::No | Joint::Declined => view! { <button class=BUTTON_MAIN disabled=doing.busy on:click=move |_| ask(true)>{icons::edit()}{texts.get().joint_ask}</button> }.into_any(),
                }}
                <Show when=move || look.get() == Look::Hand>
                    <button class=BUTTON disabled=doing.busy on:click=helped>{icons::check()}{move || texts.get().lower_hand}</button>
                </Show>
            </div>
            <div class="flex min-h-0 grow max-lg:flex-col">
                <div class="min-h-72 min-w-0 grow bg-term p-3"><Screen id may_type=Signal::derive(move || joint.get() == Joint::Granted) /></div>
                <aside class="flex w-88 shrink-0 flex-col gap-4 overflow-y-auto p-4 max-lg:w-full">
                    <section class=format!("{CARD} flex flex-col gap-2")>
                        <Steps id />
                        <p class="min-h-5 text-[13px] text-muted tabular-nums">{on_step}</p>
                        <p class="text-sm leading-relaxed empty:hidden">{failing}</p>
                        <p class="font-mono text-[13px] break-all text-muted empty:hidden">{move || command().map(|it| format!("$ {it}"))}</p>
                    </section>
                    <Tell to=Some(id) />
                    {doing.alert()}
                    <button class=format!("{BUTTON_DANGER} self-start") on:click=move |_| removing.set(true)>{move || texts.get().remove_learner}</button>
                </aside>
            </div>
            <Confirm
                open=removing
                question=Signal::derive(move || texts.get().remove_learner_q)
                consequence=Signal::derive(move || texts.get().remove_learner_c)
                action=Signal::derive(move || texts.get().remove_learner)
                on_confirm=remove
            />
        </main>
    }
}
