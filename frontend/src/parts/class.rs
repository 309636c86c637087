//! A learner's class, on their session's page: who looks, what is told, a hand to raise.

use drydock_protocol::{ClassSeat, ClassState, Joint, LearnerAction, Post, PostKind};
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::use_navigate;

use super::dialog::Confirm;
use super::terminals::Runner;
use super::{icons, inline};
use crate::api;
use crate::classes::{BUTTON, BUTTON_MAIN, LINK};
use crate::live::live;
use crate::settings::{recall, remember, settings, words};

/// Where commands are typed.
const WORKSTATION: &str = "workstation";

fn act(action: LearnerAction) {
    let live = live();
    act_in(live.id.get_value(), action);
}

fn act_in(session: String, action: LearnerAction) {
    // What comes of it comes with the session's events.
    spawn_local(async move { drop(api::in_class(&session, action).await) });
}

/// The strip below the header; nothing outside of classes.
#[component]
pub(crate) fn ClassStrip() -> impl IntoView {
    let live = live();
    let navigate = use_navigate();
    let here = Memo::new(move |_| live.class.with(Option::is_some));
    // The class went on, and this learner with it.
    Effect::new(move || {
        let next = live.class.with(|it| it.as_ref().and_then(|it| it.session.clone()));
        if let Some(next) = next.filter(|next| live.id.with_value(|id| id != next)) {
            navigate(&format!("/sessions/{next}"), Default::default());
        }
    });
    view! { <Show when=move || here.get()><Strip /></Show> }
}

#[component]
fn Strip() -> impl IntoView {
    let words = words();
    let live = live();
    let session = live.id.get_value();
    let seat = move || live.class.get().unwrap_or_default();
    let of =
        move |look: fn(&ClassSeat) -> bool| Memo::new(move |_| live.class.with(|it| it.as_ref().is_some_and(look)));
    let hand = of(|it| it.hand_millis.is_some());
    let watched = of(|it| it.watched && it.joint != Joint::Granted);
    let granted = of(|it| it.joint == Joint::Granted);
    let asked = of(|it| it.joint == Joint::Asked);
    let paused = of(|it| it.state == ClassState::Paused);
    let leaving = RwSignal::new(false);
    let leave = Callback::new(move |()| act_in(session.clone(), LearnerAction::Leave));
    let raise = move |_| act(LearnerAction::Hand { up: !hand.get_untracked() });
    view! {
        <aside class="flex shrink-0 flex-wrap items-center gap-x-4 gap-y-1 border-b border-line bg-sunken px-5 py-1.5 text-sm" aria-label=move || seat().title>
            <p class="min-w-0 grow truncate text-muted">{move || { let seat = seat(); (words.get().class.in_class)(&seat.title, &seat.name) }}</p>
            <div class="contents" aria-live="polite">
                <Show when=move || watched.get()>
                    <p class="rounded-full bg-warn-soft px-2.5 py-0.5 text-warn-ink">{move || words.get().class.watched}</p>
                </Show>
                <Show when=move || granted.get()>
                    <p class="flex items-center gap-2 rounded-full bg-warn-soft px-2.5 py-0.5 font-semibold text-warn-ink">
                        {move || words.get().class.joint}
                        <button class="cursor-pointer underline" on:click=move |_| act(LearnerAction::Joint { agree: false })>{move || words.get().class.end_joint}</button>
                    </p>
                </Show>
            </div>
            <button class=move || if hand.get() { BUTTON_MAIN } else { BUTTON } aria-pressed=move || hand.get().to_string() on:click=raise>
                {move || if hand.get() { words.get().class.hand_down } else { words.get().class.hand_up }}
            </button>
            <button class=LINK on:click=move |_| leaving.set(true)>{move || words.get().class.leave}</button>
        </aside>
        <Show when=move || paused.get()>
            <p class="shrink-0 bg-warn-soft px-5 py-2 text-center font-semibold text-warn-ink" role="alert">{move || words.get().class.paused}</p>
        </Show>
        <Next />
        <Show when=move || asked.get()>
            <div class="rise absolute inset-x-0 top-28 z-50 mx-auto w-[26rem] max-w-[calc(100vw-2rem)] rounded-xl border border-accent bg-surface p-5 shadow-lg" role="alertdialog" aria-labelledby="joint-question" aria-describedby="joint-text">
                <h2 id="joint-question" class="font-semibold">{move || words.get().class.asked}</h2>
                <p id="joint-text" class="mt-1 text-sm text-muted leading-relaxed">{move || words.get().class.asked_text}</p>
                <div class="mt-4 flex justify-end gap-2">
                    <button class=BUTTON on:click=move |_| act(LearnerAction::Joint { agree: false })>{move || words.get().class.decline}</button>
                    <button class=BUTTON_MAIN on:click=move |_| act(LearnerAction::Joint { agree: true })>{move || words.get().class.allow}</button>
                </div>
            </div>
        </Show>
        <Posts />
        <Confirm
            open=leaving
            question=Signal::derive(move || words.get().class.leave_question)
            consequence=Signal::derive(move || words.get().class.leave_consequence)
            action=Signal::derive(move || words.get().class.leave)
            on_confirm=leave
        />
    }
}

/// The class goes on with another lesson.
#[component]
fn Next() -> impl IntoView {
    let words = words();
    let live = live();
    let slug = Memo::new(move |_| live.class.with(|it| it.as_ref().and_then(|it| it.next.clone())));
    let title = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    Effect::new(move || {
        let language = settings().language.get();
        busy.set(false);
        if let Some(slug) = slug.get() {
            title.set(slug.clone());
            spawn_local(async move {
                if let Ok(lesson) = api::lesson(&slug, language).await {
                    let _ = title.try_set(lesson.summary.title);
                }
            });
        }
    });
    let follow = move |_| {
        busy.set(true);
        act(LearnerAction::Follow);
    };
    view! {
        <Show when=move || slug.with(Option::is_some)>
            <div class="flex shrink-0 flex-wrap items-center justify-center gap-3 bg-accent-soft px-5 py-2 text-sm" role="status">
                <p>{move || (words.get().class.next)(&title.get())}</p>
                <button class=BUTTON_MAIN disabled=busy on:click=follow>{move || words.get().class.follow}</button>
            </div>
        </Show>
    }
}

/// What was told and not put away yet.
#[component]
fn Posts() -> impl IntoView {
    let live = live();
    let key = live.class.with_untracked(|it| it.as_ref().map(|it| format!("posts.{}", it.code))).unwrap_or_default();
    let stored = recall(&key).unwrap_or_default();
    let away = RwSignal::new(stored.split(' ').filter_map(|it| it.parse().ok()).collect::<Vec<u32>>());
    Effect::new(move || {
        let ids: Vec<String> = away.with(|it| it.iter().map(u32::to_string).collect());
        if !ids.is_empty() {
            remember(&key, &ids.join(" "));
        }
    });
    let open = Memo::new(move |_| {
        let posts = live.class.with(|it| it.as_ref().map(|it| it.posts.clone())).unwrap_or_default();
        away.with(|away| posts.into_iter().filter(|post| !away.contains(&post.id)).rev().take(3).collect::<Vec<_>>())
    });
    let close = Callback::new(move |id: u32| away.update(|it| it.push(id)));
    // Below the line that asks for attention.
    let paused = Memo::new(move |_| live.class.with(|it| it.as_ref().is_some_and(|it| it.state == ClassState::Paused)));
    view! {
        <div
            class="pointer-events-none absolute end-4 z-40 flex w-80 max-w-[calc(100vw-2rem)] flex-col gap-2"
            class=("top-28", move || !paused.get())
            class=("top-38", move || paused.get())
            aria-live="polite"
        >
            <For each=move || open.get() key=|post| post.id let:post>
                <PostCard post close />
            </For>
        </div>
    }
}

#[component]
fn PostCard(post: Post, close: Callback<u32>) -> impl IntoView {
    let words = words();
    let runner = expect_context::<Runner>();
    let Post { id, kind, text, .. } = post;
    let title = move || match kind {
        PostKind::Message => words.get().class.message,
        PostKind::Command => words.get().class.command,
        PostKind::Hint => words.get().class.hint,
    };
    let command = text.clone();
    let body = match kind {
        PostKind::Command => view! {
            <pre class="mt-1 overflow-x-auto rounded-lg bg-sunken px-3 py-2 font-mono text-[13px] whitespace-pre-wrap">{text}</pre>
            <button class=format!("{BUTTON_MAIN} mt-2") on:click=move |_| { runner.run(WORKSTATION, &command); close.run(id); }>{move || words.get().run}</button>
        }
        .into_any(),
        _ => view! { <p class="mt-1 text-sm leading-relaxed whitespace-pre-line">{inline(&text)}</p> }.into_any(),
    };
    view! {
        <article class="rise pointer-events-auto rounded-xl border border-accent bg-surface p-4 shadow-lg">
            <div class="flex items-start gap-2">
                <h2 class="grow text-sm font-semibold text-accent-ink">{title}</h2>
                <button class="cursor-pointer text-muted" on:click=move |_| close.run(id) aria-label=move || words.get().close>{icons::cross()}</button>
            </div>
            {body}
        </article>
    }
}
