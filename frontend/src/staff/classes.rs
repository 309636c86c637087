//! One's classes.

use drydock_protocol::account::Role;
use drydock_protocol::class::{Class, ClassState};
use leptos::prelude::*;
use leptos_router::components::A;

use super::api;
use super::loaded::Loaded;
use super::person::Guard;
use super::shell::Page;
use super::words::{StaffWords, staff_words};
use crate::classes::{BUTTON_MAIN, CARD};

/// The page.
#[component]
pub(crate) fn ClassesPage() -> impl IntoView {
    view! { <Guard role=Role::Instructor><Classes /></Guard> }
}

#[component]
fn Classes() -> impl IntoView {
    let texts = staff_words();
    let classes = Loaded::new(api::classes);
    let list = move |mut list: Vec<Class>| {
        if list.is_empty() {
            return view! {
                <section class=format!("{CARD} mt-6 max-w-xl")>
                    <h2 class="text-lg font-semibold">{texts.get().no_class_title}</h2>
                    <p class="mt-1 leading-relaxed text-muted">{texts.get().no_class_text}</p>
                </section>
            }
            .into_any();
        }
        // What is under way first, then what comes next, then what was last.
        list.sort_by_key(|it| match it.state {
            ClassState::Open | ClassState::Paused => (0, it.ends_millis),
            ClassState::Planned => (1, it.starts_millis),
            ClassState::Over => (2, u64::MAX - it.ends_millis),
        });
        view! {
            <ul class="mt-6 divide-y divide-line rounded-xl border border-line bg-surface">
                {list.into_iter().map(|class| view! { <Row class /> }).collect::<Vec<_>>()}
            </ul>
        }
        .into_any()
    };
    view! {
        <Page
            title=Signal::derive(move || texts.get().classes.to_owned())
            tools=move || view! { <A href="/staff/classes/new" attr:class=BUTTON_MAIN>{texts.get().new_class}</A> }
        >
            {classes.show(list)}
        </Page>
    }
}

#[component]
fn Row(class: Class) -> impl IntoView {
    let texts = staff_words();
    let time = match class.state {
        ClassState::Planned => format!("{} {}", texts.get().begins, texts.moment(class.starts_millis)),
        _ => format!("{} {}", texts.get().ends, texts.moment(class.ends_millis)),
    };
    let joined = (texts.get().joined)(usize::from(class.joined), usize::from(class.size));
    view! {
        <li class="relative flex flex-wrap items-center gap-x-6 gap-y-1 px-5 py-4 hover:bg-sunken">
            <div class="min-w-56 grow basis-0">
                <h2 class="font-semibold">
                    // The whole row leads there.
                    <A href=format!("/staff/classes/{}", class.id) attr:class="rounded-sm after:absolute after:inset-0">{class.title}</A>
                </h2>
                <p class="mt-0.5 text-sm text-muted">{format!("{time} · {joined}")}</p>
            </div>
            <StateMark state=Signal::stored(class.state) />
            <span class="w-32 text-end font-mono text-[15px] tracking-widest text-muted">{class.code}</span>
        </li>
    }
}

/// What a state is called.
pub(crate) fn state_name(state: ClassState, texts: StaffWords) -> &'static str {
    match state {
        ClassState::Planned => texts.get().planned,
        ClassState::Open => texts.get().open,
        ClassState::Paused => texts.get().paused,
        ClassState::Over => texts.get().over,
    }
}

/// Where a class is in its life: a sign and a word.
#[component]
pub(crate) fn StateMark(
    /// The state.
    state: Signal<ClassState>,
) -> impl IntoView {
    let texts = staff_words();
    let shape = move || match state.get() {
        ClassState::Planned => "M0-5a5 5 0 1 0 .01 0ZM0-2.6a2.6 2.6 0 1 1-.01 0Z",
        ClassState::Open => "M0-5a5 5 0 1 0 .01 0Z",
        ClassState::Paused => "M-4-5h3V5h-3ZM1-5h3V5H1Z",
        ClassState::Over => "M-5-1.4h10v2.8h-10Z",
    };
    let tone = move || match state.get() {
        ClassState::Planned => "text-info-ink",
        ClassState::Open => "text-good-ink",
        ClassState::Paused => "text-warn-ink",
        ClassState::Over => "text-muted",
    };
    view! {
        <span class=move || format!("inline-flex items-center gap-2 text-sm font-medium whitespace-nowrap {}", tone())>
            <svg class="size-2.5" viewBox="-6 -6 12 12" aria-hidden="true"><path d=shape fill="currentColor" fill-rule="evenodd" /></svg>
            {move || state_name(state.get(), texts)}
        </span>
    }
}
