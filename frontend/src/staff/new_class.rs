//! Making a class.

use drydock_protocol::LessonSummary;
use drydock_protocol::account::Role;
use drydock_protocol::class::{CreateClass, SIZE_LIMIT, TITLE_LIMIT};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use wasm_bindgen::JsValue;

use super::api;
use super::field::{Field, INPUT, LABEL};
use super::loaded::{Doing, Loaded};
use super::person::Guard;
use super::shell::Page;
use super::words::staff_words;
use crate::classes::{BUTTON_MAIN, CARD};
use crate::settings::{settings, words};

/// Workers that a playground may have.
const WORKERS: std::ops::RangeInclusive<u8> = 1..=8;

/// The page.
#[component]
pub(crate) fn NewClassPage() -> impl IntoView {
    view! { <Guard role=Role::Instructor><NewClass /></Guard> }
}

#[component]
fn NewClass() -> impl IntoView {
    let (words, texts) = (words(), staff_words());
    let language = settings().language;
    let navigate = use_navigate();
    let lessons = Loaded::new(move || crate::api::lessons(language.get()));
    let title = RwSignal::new(String::new());
    let chosen = RwSignal::new(Vec::<String>::new());
    let later = RwSignal::new(false);
    let start = RwSignal::new(String::new());
    let minutes = RwSignal::new(90_u32);
    let size = RwSignal::new(30_u16);
    let workers = RwSignal::new(2_u8);
    let doing = Doing::new();
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let lessons = chosen.get_untracked();
        let request = CreateClass {
            title: title.get_untracked(),
            starts_millis: if later.get_untracked() { local_time(&start.get_untracked()) } else { 0 },
            minutes: minutes.get_untracked(),
            size: size.get_untracked(),
            workers: lessons.is_empty().then_some(workers.get_untracked()),
            lessons,
        };
        let navigate = navigate.clone();
        doing.run(async move { api::create_class(&request).await }, move |class| {
            navigate(&format!("/staff/classes/{}", class.id), Default::default())
        });
    };
    let number = "w-28 rounded-lg border border-line-strong bg-surface px-3 py-1.5 tabular-nums";
    view! {
        <Page title=Signal::derive(move || texts.get().new_class.to_owned())>
            <form class="mt-6 grid items-start gap-6 lg:grid-cols-[1fr_20rem]" on:submit=submit>
                <section class=format!("{CARD} flex flex-col gap-2")>
                    <Field id="title" label=Signal::derive(move || texts.get().class_title) value=title most=TITLE_LIMIT first=true />
                    <fieldset class="min-w-0">
                        <legend class=LABEL>{move || texts.get().class_lessons}</legend>
                        {lessons.show(move |list| view! { <Choice list chosen /> }.into_any())}
                        <p class="mt-2 min-h-5 text-[13px] text-muted" aria-live="polite">{move || chosen.with(Vec::is_empty).then(|| texts.get().class_playground)}</p>
                    </fieldset>
                </section>
                <section class=format!("{CARD} flex flex-col gap-5")>
                    <fieldset class="flex flex-col gap-2">
                        <legend class=format!("{LABEL} mb-1.5")>{move || texts.get().when}</legend>
                        <label class="flex items-center gap-2 text-[15px]">
                            <input type="radio" name="when" class="size-4 accent-accent" prop:checked=move || !later.get() on:change=move |_| later.set(false) />
                            {move || texts.get().now}
                        </label>
                        <label class="flex items-center gap-2 text-[15px]">
                            <input type="radio" name="when" class="size-4 accent-accent" prop:checked=move || later.get() on:change=move |_| later.set(true) />
                            {move || texts.get().later}
                        </label>
                        <input
                            type="datetime-local"
                            class=INPUT
                            aria-label=move || texts.get().when
                            disabled=move || !later.get()
                            required=move || later.get()
                            prop:value=move || start.get()
                            on:input=move |event| start.set(event_target_value(&event))
                        />
                        <p class="text-[13px] leading-relaxed text-muted">{move || texts.get().ready_before}</p>
                    </fieldset>
                    <label class="flex items-center justify-between gap-3">
                        <span class=LABEL>{move || texts.get().length}</span>
                        <input type="number" class=number min="5" max="1440" required prop:value=move || minutes.get().to_string() on:input=move |event| set_number(minutes, &event) />
                    </label>
                    <label class="flex items-center justify-between gap-3">
                        <span class=LABEL>{move || texts.get().size}</span>
                        <input type="number" class=number min="1" max=SIZE_LIMIT.to_string() required prop:value=move || size.get().to_string() on:input=move |event| set_number(size, &event) />
                    </label>
                    <label class="flex items-center justify-between gap-3">
                        <span class=LABEL>{move || texts.get().workers}</span>
                        <Show
                            when=move || chosen.with(Vec::is_empty)
                            fallback=move || view! { <span class="py-1.5 text-sm text-muted">{move || texts.get().workers_own}</span> }
                        >
                            <input type="number" class=number min=WORKERS.start().to_string() max=WORKERS.end().to_string() required prop:value=move || workers.get().to_string() on:input=move |event| set_number(workers, &event) />
                        </Show>
                    </label>
                    <button class=format!("{BUTTON_MAIN} h-9") disabled=doing.busy>{move || if doing.busy.get() { texts.get().working } else { texts.get().create }}</button>
                    {doing.alert()}
                </section>
            </form>
            <p class="sr-only" role="status">{move || doing.busy.get().then(|| words.get().loading)}</p>
        </Page>
    }
}

/// The catalogue, from which lessons are taken in the order of choosing.
#[component]
fn Choice(list: Vec<LessonSummary>, chosen: RwSignal<Vec<String>>) -> impl IntoView {
    let words = words();
    let row = move |lesson: LessonSummary| {
        let slug = StoredValue::new(lesson.slug);
        let place = move || slug.with_value(|slug| chosen.with(|it| it.iter().position(|it| it == slug)));
        let toggle = move |_| {
            let slug = slug.get_value();
            chosen.update(|it| match it.iter().position(|it| *it == slug) {
                Some(place) => drop(it.remove(place)),
                None => it.push(slug),
            });
        };
        let minutes = (words.get().minutes)(usize::from(lesson.minutes));
        view! {
            <li>
                <label class="flex cursor-pointer items-center gap-3 px-3 py-2 hover:bg-sunken">
                    <input type="checkbox" class="size-4 shrink-0 accent-accent" prop:checked=move || place().is_some() on:change=toggle />
                    <span class="min-w-0 grow">
                        <span class="font-medium">{lesson.title}</span>
                        <span class="block text-[13px] text-muted">{format!("{} · {minutes}", lesson.topic)}</span>
                    </span>
                    <span class="grid size-6 shrink-0 place-items-center rounded-full text-[13px] font-bold" class=(["bg-accent", "text-on-accent"], move || place().is_some())>
                        {move || place().map(|it| it + 1)}
                    </span>
                </label>
            </li>
        }
    };
    view! {
        <ul class="mt-2 max-h-[26rem] divide-y divide-line overflow-y-auto rounded-lg border border-line" tabindex="-1">
            {list.into_iter().map(row).collect::<Vec<_>>()}
        </ul>
    }
}

fn set_number<T: std::str::FromStr + Send + Sync + 'static>(signal: RwSignal<T>, event: &leptos::ev::Event) {
    if let Ok(value) = event_target_value(event).parse() {
        signal.set(value);
    }
}

/// What a field for date and time holds, by the clock of this person, as milliseconds since the epoch; 0 when it is empty.
fn local_time(text: &str) -> u64 {
    let millis = js_sys::Date::new(&JsValue::from_str(text)).get_time();
    if millis.is_finite() { millis.max(0.0) as u64 } else { 0 }
}
