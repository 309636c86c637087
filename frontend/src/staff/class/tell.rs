//! Telling the class, or one learner: a message, a command to run, a hint.

use drydock_protocol::class::{CreatePost, POST_LIMIT, Post, PostKind};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;

use super::live::class_live;
use crate::classes::{BUTTON_MAIN, CARD, LINK};
use crate::parts::inline;
use crate::staff::api;
use crate::staff::field::{INPUT, LABEL};
use crate::staff::loaded::Doing;
use crate::staff::words::{StaffWords, staff_words};

const KINDS: [PostKind; 3] = [PostKind::Message, PostKind::Command, PostKind::Hint];

fn kind_name(kind: PostKind, texts: StaffWords) -> &'static str {
    match kind {
        PostKind::Message => texts.get().message,
        PostKind::Command => texts.get().command,
        PostKind::Hint => texts.get().hint,
    }
}

/// The form.
#[component]
pub(super) fn Tell(
    /// The one learner it is for; none: all.
    to: Option<u32>,
) -> impl IntoView {
    let texts = staff_words();
    let live = class_live();
    let kind = RwSignal::new(PostKind::Message);
    let text = RwSignal::new(String::new());
    let sent = RwSignal::new(false);
    let doing = Doing::new();
    let is_command = move || kind.get() == PostKind::Command;
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let post = CreatePost { to, kind: kind.get_untracked(), text: text.get_untracked().trim().to_owned() };
        if post.text.is_empty() {
            return;
        }
        sent.set(false);
        let id = live.id.get_value();
        doing.run(async move { api::post(&id, &post).await }, move |_| {
            let _ = text.try_set(String::new());
            let _ = sent.try_set(true);
        });
    };
    let title = move || match to {
        None => texts.get().tell.to_owned(),
        Some(id) => (texts.get().tell_one)(&live.learner(id).get().map(|it| it.name).unwrap_or_default()),
    };
    let choice = move |it: PostKind| {
        view! {
            <label class="flex cursor-pointer items-center gap-1.5 text-[15px]">
                <input type="radio" name="kind" class="size-4 accent-accent" prop:checked=move || kind.get() == it on:change=move |_| kind.set(it) />
                {move || kind_name(it, texts)}
            </label>
        }
    };
    view! {
        <section class=CARD>
            <form class="flex flex-col gap-2.5" on:submit=submit>
                <h2 class=LABEL>{title}</h2>
                <div class="flex flex-wrap gap-x-4 gap-y-1" role="radiogroup" aria-label=move || texts.get().what>{KINDS.map(choice).collect_view()}</div>
                <label class="text-[13px] text-muted" for="tell">{move || if is_command() { texts.get().tell_command } else { texts.get().tell_message }}</label>
                <textarea
                    id="tell"
                    class=move || format!("{INPUT} resize-y {}", if is_command() { "font-mono" } else { "" })
                    rows="3"
                    maxlength=POST_LIMIT.to_string()
                    spellcheck=move || if is_command() { "false" } else { "true" }
                    prop:value=move || text.get()
                    on:input=move |event| {
                        sent.set(false);
                        // A command is one line.
                        let value = event_target_value(&event);
                        text.set(if untrack(is_command) { value.replace('\n', " ") } else { value });
                    }
                ></textarea>
                <div class="flex items-center gap-3">
                    <button class=BUTTON_MAIN disabled=move || doing.busy.get() || text.with(|it| it.trim().is_empty())>{move || texts.get().send}</button>
                    <span class="text-sm text-good-ink" role="status">{move || sent.get().then(|| texts.get().sent)}</span>
                </div>
                {doing.alert()}
            </form>
        </section>
    }
}

/// What was told, newest first.
#[component]
pub(super) fn Told() -> impl IntoView {
    let texts = staff_words();
    let live = class_live();
    let doing = Doing::new();
    let row = move |post: Post| {
        let back = move |_| {
            let id = live.id.get_value();
            doing.run(async move { api::take_back(&id, post.id).await }, |()| {});
        };
        let whom = match post.to {
            None => texts.get().to_all.to_owned(),
            Some(id) => live.roster.with_untracked(|it| it.get(&id).map(|it| it.name.clone())).unwrap_or_default(),
        };
        let said = if post.kind == PostKind::Command {
            view! { <code class="inline-code">{post.text}</code> }.into_any()
        } else {
            inline(&post.text).into_any()
        };
        view! {
            <li class="py-2.5">
                <p class="flex gap-2 text-[13px] text-muted">
                    <span class="grow">{format!("{} · {whom}", kind_name(post.kind, texts))}</span>
                    <button class=LINK on:click=back>{texts.get().take_back}</button>
                </p>
                <p class="mt-0.5 text-sm break-words whitespace-pre-wrap">{said}</p>
            </li>
        }
    };
    view! {
        <section class=CARD>
            <h2 class=LABEL>{move || texts.get().told}</h2>
            {move || live.posts.with(Vec::is_empty).then(|| view! { <p class="mt-1 text-sm text-muted">{texts.get().told_none}</p> })}
            <ul class="divide-y divide-line">{move || live.posts.get().into_iter().rev().map(row).collect::<Vec<_>>()}</ul>
            {doing.alert()}
        </section>
    }
}
