//! A question with answers to choose from; why the right one is right is told after it was chosen.

use drydock_protocol::{Answer, AnswerVerdict, Quiz, QuizOption};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::classes::BUTTON;
use crate::live::live;
use crate::parts::{explain, icons};
use crate::settings::{recall, remember, settings, words};

/// The question.
#[component]
pub(super) fn Question(step: String, quiz: Quiz) -> impl IntoView {
    let words = words();
    let live = live();
    let language = settings().language;
    let Quiz { id, question, options, many } = quiz;
    let name = format!("quiz-{step}-{id}");
    let key = StoredValue::new(format!("answer.{}.{step}.{id}", live.id.get_value()));
    let (step, id) = (StoredValue::new(step), StoredValue::new(id));
    let is_answered = Memo::new(move |_| {
        let is_this = |it: &drydock_protocol::Answered| {
            step.with_value(|step| it.step == *step) && id.with_value(|id| it.quiz == *id)
        };
        live.session.with(|it| it.as_ref().is_some_and(|it| it.answered.iter().any(is_this)))
    });
    let chosen = RwSignal::new(Vec::<String>::new());
    let verdict = RwSignal::new(None::<Result<AnswerVerdict, api::Error>>);
    let busy = RwSignal::new(false);
    let ask = move |options: Vec<String>| {
        if busy.get_untracked() || options.is_empty() {
            return;
        }
        busy.set(true);
        let answer = Answer { step: step.get_value(), quiz: id.get_value(), options };
        spawn_local(async move {
            let result = api::answer(&live.id.get_value(), language.get_untracked(), &answer).await;
            if result.as_ref().is_ok_and(|it| it.right) {
                let _ = key.try_with_value(|key| remember(key, &answer.options.join(" ")));
            }
            let _ = verdict.try_set(Some(result));
            let _ = busy.try_set(false);
        });
    };
    // After a reload: what was chosen and why it is right.
    Effect::new(move || {
        if is_answered.get() && verdict.with_untracked(Option::is_none) && !busy.get_untracked() {
            let options: Vec<String> = key
                .with_value(|key| recall(key))
                .unwrap_or_default()
                .split(' ')
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect();
            chosen.set(options.clone());
            ask(options);
        }
    });
    let is_right = move || is_answered.get() || verdict.with(|it| matches!(it, Some(Ok(it)) if it.right));
    let kind = if many { "checkbox" } else { "radio" };
    let option = |QuizOption { id, html }: QuizOption| {
        let value = StoredValue::new(id);
        let is_chosen = move || chosen.with(|it| value.with_value(|id| it.contains(id)));
        let choose = move |event| {
            let on = event_target_checked(&event);
            chosen.update(|it| {
                let id = value.get_value();
                if !many {
                    it.clear();
                }
                it.retain(|other| *other != id);
                if on {
                    it.push(id);
                }
            });
            verdict.set(None);
        };
        view! {
            <label class="flex cursor-pointer gap-3 rounded-lg border border-line px-3 py-2 has-checked:border-accent has-disabled:cursor-default">
                <input type=kind name=name.clone() value=value.get_value() class="mt-1 size-4 shrink-0 accent-accent" prop:checked=is_chosen disabled=is_right on:change=choose />
                <span class="prose min-w-0" inner_html=html></span>
            </label>
        }
    };
    let answer = move || match verdict.get() {
        _ if is_right() => {
            let why = verdict.get().and_then(Result::ok).and_then(|it| it.explanation);
            view! {
                <div class="rise mt-3 rounded-e-lg border-s-3 border-good bg-sunken px-4 py-3 text-sm quiz-right">
                    <p class="flex items-center gap-1.5 font-semibold text-good-ink">{icons::check()}{words.get().page.quiz_right}</p>
                    {why.map(|html| view! { <div class="prose mt-1" inner_html=html></div> })}
                </div>
            }.into_any()
        }
        Some(Ok(_)) => {
            view! { <p class="rise mt-3 text-sm text-warn-ink">{words.get().page.quiz_wrong}</p> }.into_any()
        }
        Some(Err(error)) => view! { <p class="mt-3 text-sm text-bad">{explain(&error, words).1}</p> }.into_any(),
        None => ().into_any(),
    };
    view! {
        <section class="mt-6">
            <fieldset>
                <legend class="flex items-start gap-2">
                    <span class="mt-1 text-accent-ink">{icons::question()}</span>
                    <span class="sr-only">{move || words.get().page.quiz}{move || words.marks().colon()}</span>
                    <div class="prose font-semibold" inner_html=question></div>
                </legend>
                {many.then(|| view! { <p class="mt-1 text-sm text-muted">{move || words.get().page.quiz_many}</p> })}
                <div class="mt-2 flex flex-col gap-2 text-sm">{options.into_iter().map(option).collect::<Vec<_>>()}</div>
            </fieldset>
            <Show when=move || !is_right()>
                <button class=format!("{BUTTON} mt-3") disabled=move || busy.get() || chosen.with(Vec::is_empty) on:click=move |_| ask(chosen.get_untracked())>
                    {move || if busy.get() { words.get().page.quiz_checking } else { words.get().page.quiz_check }}
                </button>
            </Show>
            <div role="status">{answer}</div>
        </section>
    }
}
