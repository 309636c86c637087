//! The editor of one file: CodeMirror in front, the workstation's home folder behind; *Apply* and *Diff* by its kubectl.

use std::cell::RefCell;
use std::rc::Rc;

use drydock_protocol::file::check_path;
use drydock_protocol::{ManifestAction, ManifestOutcome, ManifestProblem, RunManifest};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::HtmlElement;

use super::runner;
use crate::classes::{BUTTON, BUTTON_MAIN, ICON_BUTTON};
use crate::live::live;
use crate::parts::{explain, icons};
use crate::settings::{forget, recall, remember, words};
use crate::{api, manifest};

#[wasm_bindgen(module = "/js/editor.js")]
extern "C" {
    type Handle;

    #[wasm_bindgen(js_name = createEditor, catch)]
    async fn create_editor(
        element: &HtmlElement,
        label: &str,
        text: &str,
        on_change: &OnChange,
        on_command: &OnCommand,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method)]
    fn text(this: &Handle) -> String;
    #[wasm_bindgen(method, js_name = setText)]
    fn set_text(this: &Handle, text: &str);
    #[wasm_bindgen(method)]
    fn focus(this: &Handle);
    #[wasm_bindgen(method)]
    fn problems(this: &Handle, lines: Vec<u32>, messages: Vec<JsValue>);
    #[wasm_bindgen(method, js_name = goTo)]
    fn go_to(this: &Handle, line: u32);
    #[wasm_bindgen(method)]
    fn dispose(this: &Handle);
}

/// Folders below this depth are not in the list of files.
const LISTED_DEPTH: usize = 4;

type OnChange = Closure<dyn FnMut()>;
type OnCommand = Closure<dyn FnMut(String)>;

/// An editor that is on the page, with the callbacks that live as long as it does.
struct View {
    handle: Handle,
    _seams: (OnChange, OnCommand),
}

type Shared = Rc<RefCell<Option<View>>>;

fn with<T>(view: &Shared, act: impl FnOnce(&Handle) -> T) -> Option<T> {
    view.try_borrow().ok()?.as_ref().map(|it| act(&it.handle))
}

/// What kubectl said to which question.
#[derive(Clone)]
struct Said {
    action: ManifestAction,
    result: Result<ManifestOutcome, api::Error>,
}

/// The editor.
#[component]
pub(super) fn Editor(
    /// The tab.
    id: String,
    /// The file.
    path: String,
    /// Whether it is on show.
    active: Signal<bool>,
) -> impl IntoView {
    let words = words();
    let live = live();
    let runner = runner();
    let place = NodeRef::<html::Div>::new();
    let name = NodeRef::<html::Input>::new();
    let view: StoredValue<Shared, LocalStorage> = StoredValue::new_local(Rc::default());
    let begun = StoredValue::new(false);
    let ready = RwSignal::new(false);
    let trouble = RwSignal::new(None::<String>);
    // What the file holds; `None` while there is none.
    let stored = RwSignal::new(None::<String>);
    // What it holds since, where that is not what was opened and the editor's text is not saved.
    let newer = RwSignal::new(None::<String>);
    let dirty = RwSignal::new(false);
    let busy = RwSignal::new(false);
    let said = RwSignal::new(None::<Said>);
    let (id, path) = (StoredValue::new(id), StoredValue::new(path));
    let draft = StoredValue::new(live.id.with_value(|id| path.with_value(|path| format!("draft.{id}.{path}"))));

    let changed = move || {
        let Some(text) = with(&view.get_value(), Handle::text) else { return };
        let is_dirty = stored.with_untracked(|it| it.as_deref() != Some(text.as_str()));
        if is_dirty {
            draft.with_value(|key| remember(key, &text));
        } else {
            draft.with_value(|key| forget(key));
        }
        if dirty.get_untracked() != is_dirty {
            dirty.set(is_dirty);
        }
    };
    let show_problems = move |problems: &[ManifestProblem]| {
        let lines = problems.iter().map(|it| it.line).collect();
        let messages = problems.iter().map(|it| JsValue::from_str(&it.message)).collect();
        with(&view.get_value(), |it| it.problems(lines, messages));
    };
    // Looks at the file again. An editor without changes follows it; else the learner is warned, once for each content:
    // whether that was now.
    let look = move || async move {
        let (session, file) = (live.id.get_value(), path.get_value());
        if stored.with_untracked(Option::is_none) {
            return false;
        }
        let Ok(Some(text)) = api::read_text(&session, &file).await else { return false };
        if dirty.is_disposed() || stored.with_untracked(|it| it.as_ref() == Some(&text)) {
            let _ = newer.try_set(None);
            return false;
        }
        if dirty.get_untracked() {
            let is_news = newer.with_untracked(|it| it.as_ref() != Some(&text));
            newer.set(Some(text));
            return is_news;
        }
        stored.set(Some(text.clone()));
        with(&view.get_value(), |it| it.set_text(&text));
        false
    };
    let load_disk = move |_| {
        if let Some(text) = newer.get_untracked() {
            newer.set(None);
            stored.set(Some(text.clone()));
            with(&view.get_value(), |it| it.set_text(&text));
            changed();
        }
    };
    // The path in the field, if it can be one.
    let wanted = move || {
        let path = name.get_untracked().map(|it| it.value()).unwrap_or_default();
        let path = path.trim().trim_start_matches("~/").to_owned();
        check_path(&path).is_ok().then_some(path)
    };
    let save = move || async move {
        let text = with(&view.get_value(), Handle::text)?;
        let target = wanted().unwrap_or_else(|| path.get_value());
        let session = live.id.get_value();
        if path.with_value(|it| *it == target) && look().await {
            return None;
        }
        match api::write_file(&session, &target, &JsValue::from_str(&text)).await {
            Ok(_) => {
                let _ = trouble.try_set(None);
                let _ = newer.try_set(None);
                let _ = stored.try_set(Some(text.clone()));
                changed();
                if path.with_value(|it| *it != target) {
                    draft.with_value(|key| forget(key));
                    runner.change(|tabs| id.with_value(|id| tabs.move_file(id, &target)));
                }
                Some((target, text))
            }
            Err(error) => {
                let _ = trouble.try_set(Some(explain(&error, words).1));
                None
            }
        }
    };
    let save_now = move || {
        if !busy.get_untracked() {
            busy.set(true);
            spawn_local(async move {
                save().await;
                let _ = busy.try_set(false);
            });
        }
    };
    let run = move |action: ManifestAction| {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        said.set(None);
        spawn_local(async move {
            // What is applied is what `kubectl apply -f` in the terminal would find; a comparison leaves the file alone.
            let subject = match action {
                ManifestAction::Apply => save().await,
                ManifestAction::Diff => with(&view.get_value(), Handle::text).map(|text| (path.get_value(), text)),
            };
            if let Some((name, text)) = subject {
                let session = live.id.get_value();
                let result = api::manifest(&session, &RunManifest { action, name, text }).await;
                if said.is_disposed() {
                    return;
                }
                show_problems(result.as_ref().map_or(&[][..], |it| &it.problems));
                said.set(Some(Said { action, result }));
            }
            let _ = busy.try_set(false);
        });
    };
    let load = move |shared: Shared, element: HtmlElement| async move {
        let session = live.id.get_value();
        let file = path.get_value();
        // A file that the list does not know is not asked for: a new one is no error.
        let is_known = api::files(&session).await.map(|it| it.more || it.files.iter().any(|it| it.path == file));
        let is_unlisted = file.starts_with('.') || file.contains("/.") || file.split('/').count() > LISTED_DEPTH;
        let read = match is_known {
            Ok(false) if !is_unlisted => Ok(None),
            Ok(_) => api::read_text(&session, &file).await.map(Some),
            Err(error) => Err(error),
        };
        let found = match read {
            Ok(None) => None,
            Ok(Some(Some(text))) => Some(text),
            Ok(Some(None)) => {
                let _ = trouble.try_set(Some(words.now().page.not_text.to_owned()));
                return;
            }
            Err(error) if error.is_absent() => None,
            Err(error) => {
                let _ = trouble.try_set(Some(explain(&error, words).1));
                return;
            }
        };
        if stored.is_disposed() {
            return;
        }
        let kept = draft.with_value(|key| recall(key));
        let seed = runner.seeds.with_value(|it| it.get(&file).cloned());
        let text = kept.or_else(|| found.clone()).or(seed).unwrap_or_default();
        stored.set(found);
        let on_change = Closure::new(changed);
        let on_command = Closure::new(move |command: String| match command.as_str() {
            "apply" => run(ManifestAction::Apply),
            _ => save_now(),
        });
        match create_editor(&element, words.now().page.editor, &text, &on_change, &on_command).await {
            Ok(handle) => {
                let handle: Handle = handle.unchecked_into();
                if ready.is_disposed() {
                    handle.dispose();
                    return;
                }
                handle.focus();
                *shared.borrow_mut() = Some(View { handle, _seams: (on_change, on_command) });
                changed();
                ready.set(true);
            }
            Err(_) => drop(trouble.try_set(Some(words.now().page.editor_failed.to_owned()))),
        }
    };
    Effect::new(move || {
        let Some(element) = place.get() else { return };
        if !active.get() {
            return;
        }
        if !begun.get_value() {
            begun.set_value(true);
            spawn_local(load(view.get_value(), element.into()));
        } else if ready.get_untracked() {
            // The file may have been changed in a terminal meanwhile.
            spawn_local(async move {
                look().await;
            });
        }
    });
    on_cleanup(move || {
        if let Some(view) = view.try_get_value().and_then(|it| it.borrow_mut().take()) {
            view.handle.dispose();
        }
    });
    let go_to = Callback::new(move |line: u32| {
        with(&view.get_value(), |it| it.go_to(line));
    });
    let state = move || match (busy.get(), dirty.get(), stored.with(Option::is_some)) {
        (true, ..) => words.get().page.working,
        (_, true, _) => words.get().page.unsaved,
        (_, false, true) => words.get().page.saved,
        _ => "",
    };
    let waiting = move || !ready.get() || busy.get();
    view! {
        <div class="flex h-full min-h-0 flex-col" class:hidden=move || !active.get()>
            <div class="flex shrink-0 flex-wrap items-center gap-2 border-b border-line bg-term px-3 py-1.5">
                <label class="flex min-w-36 grow basis-0 items-center font-mono text-[13px] text-term-muted">
                    <span class="sr-only">{move || words.get().page.file_path}</span>
                    <span aria-hidden="true">"~/"</span>
                    <input node_ref=name class="min-w-0 grow rounded border border-transparent bg-transparent px-1 py-0.5 text-term-ink hover:border-line-strong" maxlength="255" spellcheck="false" prop:value=path.get_value() />
                </label>
                <span class="text-[13px] text-term-muted" role="status">{state}</span>
                <button class=BUTTON disabled=waiting on:click=move |_| save_now()>{move || words.get().page.save}</button>
                <button class=BUTTON disabled=waiting on:click=move |_| run(ManifestAction::Diff)>{move || words.get().page.diff}</button>
                <button class=BUTTON_MAIN disabled=waiting on:click=move |_| run(ManifestAction::Apply)>{move || words.get().page.apply}</button>
            </div>
            <Show when=move || trouble.with(Option::is_some)>
                <p class="px-4 py-2 text-sm text-bad" role="alert">{move || trouble.get()}</p>
            </Show>
            <Show when=move || newer.with(Option::is_some)>
                <div class="flex items-center gap-3 border-b border-line bg-surface px-4 py-1.5 text-sm" role="alert">
                    <p class="min-w-0 grow text-warn-ink">{move || words.get().page.changed_on_disk}</p>
                    <button class=BUTTON on:click=load_disk>{move || words.get().page.load_disk}</button>
                </div>
            </Show>
            <div node_ref=place class="min-h-0 grow overflow-hidden" on:focusin=move |_| {
                // Back from a terminal at its side.
                if dirty.get_untracked() && !busy.get_untracked() {
                    spawn_local(async move {
                        look().await;
                    });
                }
            }></div>
            <div role="status" class="shrink-0">
                {move || said.get().map(|it| view! { <Outcome said=it go_to close=Callback::new(move |()| said.set(None)) /> })}
            </div>
        </div>
    }
}

/// What kubectl said: its complaints, each with the way to its line, else its own words.
#[component]
fn Outcome(said: Said, go_to: Callback<u32>, close: Callback<()>) -> impl IntoView {
    let words = words();
    let Said { action, result } = said;
    let title = {
        let result = result.clone();
        move || match (&result, action) {
            (Err(error), _) => explain(error, words).0,
            (Ok(it), _) if !it.ok => words.get().page.refused.to_owned(),
            (Ok(_), ManifestAction::Apply) => words.get().page.applied.to_owned(),
            (Ok(it), ManifestAction::Diff) if it.output.trim().is_empty() => words.get().page.same.to_owned(),
            (Ok(_), ManifestAction::Diff) => words.get().page.differs.to_owned(),
        }
    };
    let is_good = result.as_ref().is_ok_and(|it| it.ok);
    let text = match &result {
        Ok(it) => it.output.clone(),
        Err(error) => explain(error, words).1,
    };
    let problems = result.map(|it| it.problems).unwrap_or_default();
    let problem = move |ManifestProblem { line, message }: ManifestProblem| {
        view! {
            <li>
                <button class="flex w-full cursor-pointer gap-3 rounded px-1 py-1 text-start hover:bg-sunken" on:click=move |_| go_to.run(line)>
                    <span class="shrink-0 font-semibold text-bad tabular-nums">{move || (words.get().page.line)(line)}</span>
                    <span class="min-w-0 wrap-anywhere">{message}</span>
                </button>
            </li>
        }
    };
    let lines = move || -> Vec<AnyView> {
        text.lines()
            .map(|line| {
                let class = match (action, manifest::tone(line)) {
                    (ManifestAction::Diff, manifest::Tone::Added) => "text-good-ink",
                    (ManifestAction::Diff, manifest::Tone::Removed) => "text-bad",
                    (ManifestAction::Diff, manifest::Tone::Place) => "text-term-muted",
                    _ => "",
                };
                view! { <span class=class>{line.to_owned()}"\n"</span> }.into_any()
            })
            .collect()
    };
    view! {
        <div class="rise max-h-40 overflow-y-auto border-t border-line bg-surface px-4 py-2 text-[13px]">
            <div class="flex items-center gap-2">
                <span class=if is_good { "text-good" } else { "text-bad" }>{if is_good { icons::check().into_any() } else { icons::cross().into_any() }}</span>
                <p class="grow font-semibold">{title}</p>
                <button class=ICON_BUTTON aria-label=move || words.get().close title=move || words.get().close on:click=move |_| close.run(())>{icons::cross()}</button>
            </div>
            {if problems.is_empty() {
                view! { <pre class="overflow-x-auto font-mono leading-5 whitespace-pre-wrap wrap-anywhere">{lines()}</pre> }.into_any()
            } else {
                view! { <ul>{problems.into_iter().map(problem).collect::<Vec<_>>()}</ul> }.into_any()
            }}
        </div>
    }
}
