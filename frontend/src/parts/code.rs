//! A block of code with what can be done with it: run, copy.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen::prelude::wasm_bindgen;

use super::icons;
use super::terminals::runner;
use crate::classes::{CODE, ICON_BUTTON};
use crate::live::live;
use crate::settings::words;

/// Looks of what can be done with a block.
const ACTION: &str = "inline-flex shrink-0 items-center gap-1 rounded-md px-1.5 py-1 font-sans text-[13px] font-semibold text-accent-ink cursor-pointer hover:bg-accent-soft disabled:opacity-50";

#[wasm_bindgen(module = "/js/terminal.js")]
extern "C" {
    /// Puts text into the clipboard.
    #[wasm_bindgen(js_name = copyText)]
    pub(crate) fn copy_text(text: &str);
}

/// The block.
#[component]
pub(crate) fn CodeBlock(
    /// Its text.
    code: String,
    /// Node whose terminal runs it.
    run_on: Option<String>,
    /// File of the home folder that holds it.
    file: Option<String>,
) -> impl IntoView {
    let words = words();
    let live = live();
    let copied = RwSignal::new(false);
    let text = StoredValue::new(code.clone());
    let copy = move |_| {
        text.with_value(|it| copy_text(it));
        copied.set(true);
        set_timeout(
            move || {
                let _ = copied.try_set(false);
            },
            Duration::from_millis(1600),
        );
    };
    let copy_name = move || if copied.get() { words.get().copied } else { words.get().copy };
    let is_long = code.contains('\n');
    let run = run_on.map(|node| {
        let runner = runner();
        let run = move |_| text.with_value(|it| runner.run(&node, it));
        let name = move || text.with_value(|it| format!("{} {it}", words.get().run_in));
        view! {
            <button
                class=ACTION
                on:click=run
                disabled=move || !live.is_ready()
                aria-label=name
            >
                {icons::play()}
                {move || words.get().run}
            </button>
        }
    });
    let runner = runner();
    let open = file.clone().map(|path| {
        let name = move || words.get().page.open_editor;
        let open = move |_| runner.open_file(&path, Some(text.with_value(|it| format!("{it}\n"))));
        view! {
            <button class=ACTION on:click=open disabled=move || !live.is_ready()>
                {icons::edit()}
                {name}
            </button>
        }
    });
    if let Some(path) = file {
        return view! {
            <figure class="my-3 overflow-hidden rounded-lg border border-line bg-sunken">
                <figcaption class="flex flex-wrap items-center gap-1 border-b border-line py-0.5 ps-3 pe-1">
                    <span class="min-w-24 grow font-mono text-[13px] text-muted">{path}</span>
                    {open}
                    {run}
                    <button class=ICON_BUTTON on:click=copy aria-label=copy_name title=copy_name>
                        {move || if copied.get() { icons::check().into_any() } else { icons::copy().into_any() }}
                    </button>
                </figcaption>
                <pre class="overflow-x-auto px-3 py-2 font-mono text-[13px] leading-5" tabindex="0"><code>{code}</code></pre>
            </figure>
        }
        .into_any();
    }
    // Commands wrap; what is to be read in columns scrolls.
    let wraps = run.is_some();
    let lines = if !wraps {
        code.into_any()
    } else if is_long {
        code.lines()
            .map(|line| view! { <span class="block ps-4 -indent-4">{unbroken(line)}</span> })
            .collect::<Vec<_>>()
            .into_any()
    } else {
        unbroken(&code).into_any()
    };
    let looks = match (wraps, is_long) {
        (false, _) => "overflow-x-auto whitespace-pre",
        (true, true) => "whitespace-pre-wrap",
        (true, false) => "whitespace-normal",
    };
    view! {
        <div class=format!("{CODE} {}", if is_long { "items-start flex-wrap" } else { "flex-wrap" })>
            <pre class=format!("min-w-0 grow basis-52 py-1.5 {looks}") tabindex=(!wraps).then_some("0")>
                <code>{lines}</code>
            </pre>
            <span class="ms-auto inline-flex items-center gap-1">
                {run}
                <button class=ICON_BUTTON on:click=copy aria-label=copy_name title=copy_name>
                    {move || if copied.get() { icons::check().into_any() } else { icons::copy().into_any() }}
                </button>
            </span>
        </div>
    }
    .into_any()
}

/// A command that wraps between its words only: a browser would break `--image` after its hyphens.
fn unbroken(code: &str) -> Vec<AnyView> {
    let word = |(index, word): (usize, &str)| {
        let space = if index > 0 { " " } else { "" };
        // A word that is longer than any line must break somewhere.
        let class = if word.len() > 28 { "break-all" } else { "whitespace-nowrap" };
        view! { {space}<span class=class>{word.to_owned()}</span> }.into_any()
    };
    code.split(' ').enumerate().map(word).collect()
}
