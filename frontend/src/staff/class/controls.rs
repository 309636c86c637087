//! What the instructor does to the whole class: begin, pause, go on, extend, end, next lesson, remove.

use drydock_protocol::class::{ClassAction, ClassState};
use drydock_protocol::path;
use leptos::html;
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

use super::live::class_live;
use crate::classes::{BUTTON, BUTTON_MAIN, DIALOG, PILL};
use crate::format;
use crate::parts::{Confirm, icons, open_while};
use crate::settings::{settings, words};
use crate::staff::api;
use crate::staff::classes::StateMark;
use crate::staff::loaded::{Doing, Loaded};
use crate::staff::words::staff_words;

/// Minutes that one press adds.
const EXTENSION: u32 = 10;

/// State, clock and buttons.
#[component]
pub(super) fn Controls() -> impl IntoView {
    let texts = staff_words();
    let live = class_live();
    let navigate = use_navigate();
    let doing = Doing::new();
    let (ending, removing) = (RwSignal::new(false), RwSignal::new(false));
    let state = Memo::new(move |_| live.class.with(|it| it.as_ref().map(|it| it.state).unwrap_or_default()));
    let act = move |action: ClassAction| {
        let id = live.id.get_value();
        doing.run(async move { api::act(&id, action).await }, move |class| live.set_class(class));
    };
    let remove = Callback::new(move |()| {
        let id = live.id.get_value();
        let navigate = navigate.clone();
        doing
            .run(async move { api::remove_class(&id).await }, move |()| navigate("/staff/classes", Default::default()));
    });
    let csv = path::class_verb(&live.id.get_value(), "progress.csv");
    let is = move |wanted: ClassState| state.get() == wanted;
    let is_live = move || is(ClassState::Open) || is(ClassState::Paused);
    view! {
        <StateMark state=state.into() />
        <Clock />
        <div class="flex flex-wrap items-center gap-2">
            <Show when=move || is(ClassState::Planned)>
                <button class=BUTTON_MAIN disabled=doing.busy on:click=move |_| act(ClassAction::Begin)>{move || texts.get().begin}</button>
            </Show>
            <Show when=move || is(ClassState::Open)>
                <button class=BUTTON disabled=doing.busy title=move || texts.get().pause_help on:click=move |_| act(ClassAction::Pause)>{icons::pause()}{move || texts.get().pause}</button>
            </Show>
            <Show when=move || is(ClassState::Paused)>
                <button class=BUTTON_MAIN disabled=doing.busy on:click=move |_| act(ClassAction::Resume)>{icons::play()}{move || texts.get().resume}</button>
            </Show>
            <Show when=is_live>
                <button class=BUTTON disabled=doing.busy on:click=move |_| act(ClassAction::Extend { minutes: EXTENSION })>{move || (texts.get().extend_by)(EXTENSION as usize)}</button>
            </Show>
            <a class=BUTTON href=csv rel="external" download="">{move || texts.get().csv}</a>
            <Show
                when=move || !is(ClassState::Over)
                fallback=move || view! { <button class=BUTTON on:click=move |_| removing.set(true)>{move || texts.get().remove_class}</button> }
            >
                <button class=BUTTON on:click=move |_| ending.set(true)>{move || texts.get().end}</button>
            </Show>
        </div>
        {doing.alert()}
        <Confirm
            open=ending
            question=Signal::derive(move || texts.get().end_q)
            consequence=Signal::derive(move || texts.get().end_c)
            action=Signal::derive(move || texts.get().end)
            on_confirm=Callback::new(move |()| act(ClassAction::End))
        />
        <Confirm
            open=removing
            question=Signal::derive(move || texts.get().remove_class_q)
            consequence=Signal::derive(move || texts.get().remove_class_c)
            action=Signal::derive(move || texts.get().remove_class)
            on_confirm=remove
        />
    }
}

/// Until the beginning, or until the end.
#[component]
pub(super) fn Clock() -> impl IntoView {
    let texts = staff_words();
    let live = class_live();
    let times =
        Memo::new(move |_| live.class.with(|it| it.as_ref().map(|it| (it.state, it.starts_millis, it.ends_millis))));
    let shown = move || {
        let now = live.now.get();
        match times.get()? {
            (ClassState::Planned, starts, _) => Some((texts.get().begins_in, starts.saturating_sub(now))),
            (ClassState::Over, ..) => None,
            (_, _, ends) => Some((texts.get().time_left, ends.saturating_sub(now))),
        }
    };
    view! {
        <Show when=move || shown().is_some()>
            <span class=move || format!("{PILL} {}", if shown().is_some_and(|(_, left)| left < 300_000) { "text-warn-ink" } else { "text-muted" })>
                {icons::clock()}
                <span>{move || shown().map(|(what, _)| what)}</span>
                <span class="min-w-12 text-end tabular-nums" role="timer">{move || shown().map(|(_, left)| format::clock(left))}</span>
            </span>
        </Show>
    }
}

/// At which of its lessons the class is, and the way to the others.
#[component]
pub(super) fn LessonBar() -> impl IntoView {
    let (words, texts) = (words(), staff_words());
    let live = class_live();
    let language = settings().language;
    let lessons = Loaded::new(move || crate::api::lessons(language.get()));
    let place = Memo::new(move |_| {
        live.class.with(|it| it.as_ref().map(|it| (usize::from(it.at), it.lessons.clone(), it.state)))
    });
    let title = move |slug: &str| {
        let known = lessons.get().and_then(|it| it.into_iter().find(|it| it.slug == slug));
        known.map_or_else(|| slug.to_owned(), |it| it.title)
    };
    let asked = RwSignal::new(None::<usize>);
    let doing = Doing::new();
    let dialog = NodeRef::<html::Dialog>::new();
    open_while(dialog, move || asked.with(Option::is_some));
    let go = move |everyone: bool| {
        let Some(to) = asked.get_untracked() else { return };
        asked.set(None);
        let action = ClassAction::Move { to: u16::try_from(to).unwrap_or_default(), everyone };
        let id = live.id.get_value();
        doing.run(async move { api::act(&id, action).await }, move |class| live.set_class(class));
    };
    let bar = move || {
        let (at, slugs, state) = place.get()?;
        let slug = slugs.get(at)?.clone();
        let is_over = state == ClassState::Over;
        let (is_first, is_last) = (at == 0, at + 1 >= slugs.len());
        let number = (texts.get().lesson_of)(at + 1, slugs.len());
        Some(view! {
            <section class="mb-4 flex flex-wrap items-center gap-x-4 gap-y-2 rounded-xl border border-line bg-surface px-4 py-2.5" aria-label=texts.get().lesson_bar>
                <p class="min-w-40 grow"><span class="text-[13px] text-muted">{number}</span><span class="block font-semibold">{title(&slug)}</span></p>
                {(slugs.len() > 1 && !is_over).then(|| view! {
                    <button class=BUTTON disabled=move || is_first || doing.busy.get() on:click=move |_| asked.set(at.checked_sub(1))>{texts.get().previous_lesson}</button>
                    <button class=BUTTON disabled=move || is_last || doing.busy.get() on:click=move |_| asked.set(Some(at + 1))>{texts.get().next_lesson}{icons::arrow()}</button>
                })}
                {doing.alert()}
            </section>
        })
    };
    view! {
        {bar}
        <dialog
            node_ref=dialog
            class=format!("w-[28rem] {DIALOG}")
            on:close=move |_| asked.set(None)
            aria-labelledby="move-question"
        >
            <h2 id="move-question" class="text-lg font-semibold">{move || texts.get().move_q}</h2>
            <p class="mt-1 font-medium">{move || asked.get().and_then(|to| place.get()?.1.get(to).map(|it| title(it)))}</p>
            <p class="mt-2 leading-relaxed text-muted">{move || texts.get().move_c}</p>
            <div class="mt-5 flex flex-wrap justify-end gap-2">
                <button class=BUTTON on:click=move |_| asked.set(None)>{move || words.get().cancel}</button>
                <button class=BUTTON on:click=move |_| go(true)>{move || texts.get().move_all}</button>
                <button class=BUTTON_MAIN on:click=move |_| go(false)>{move || texts.get().move_ask}</button>
            </div>
        </dialog>
    }
}
