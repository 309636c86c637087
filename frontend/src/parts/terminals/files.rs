//! The files of the workstation's home folder: open, download, upload.

use drydock_protocol::file::EDIT_LIMIT;
use drydock_protocol::{HomeFile, HomeFiles};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::runner;
use crate::classes::{BUTTON, DIALOG, LINK};
use crate::live::live;
use crate::parts::{explain, inline, open_while};
use crate::settings::words;
use crate::{api, format};

/// The dialog.
#[component]
pub(super) fn FilesDialog() -> impl IntoView {
    let words = words();
    let live = live();
    let runner = runner();
    let dialog = NodeRef::<html::Dialog>::new();
    let picker = NodeRef::<html::Input>::new();
    let files = RwSignal::new(None::<Result<HomeFiles, api::Error>>);
    open_while(dialog, move || runner.files.get());
    Effect::new(move || {
        if runner.files.get() {
            let id = live.id.get_value();
            spawn_local(async move {
                let _ = files.try_set(Some(api::files(&id).await));
            });
        }
    });
    let row = move |HomeFile { path, bytes }: HomeFile| {
        let address = live.id.with_value(|id| api::file_address(id, &path));
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        let opened = path.clone();
        let open = move |_| {
            runner.files.set(false);
            runner.open_file(&opened, None);
        };
        let (open_name, download_name) =
            (format!("{} {path}", words.get().page.open), format!("{} {path}", words.get().page.download));
        view! {
            <li class="flex items-center gap-4 py-2">
                <span class="min-w-0 grow truncate font-mono text-[13px]">{path}</span>
                <span class="text-sm text-muted tabular-nums whitespace-nowrap">{format::size(bytes)}</span>
                {(bytes <= EDIT_LIMIT).then(|| view! { <button class=LINK aria-label=open_name on:click=open>{words.get().page.open}</button> })}
                <a class=LINK href=address download=name rel="external" aria-label=download_name>{words.get().page.download}</a>
            </li>
        }
    };
    let picked = move |_| {
        if let Some(list) = picker.get_untracked().and_then(|it| it.files()) {
            runner.files.set(false);
            runner.upload(&list);
        }
        if let Some(picker) = picker.get_untracked() {
            picker.set_value("");
        }
    };
    view! {
        <dialog
            node_ref=dialog
            class=format!("w-[34rem] {DIALOG}")
            aria-labelledby="files-title"
            on:close=move |_| runner.files.set(false)
        >
            <h2 id="files-title" class="text-lg font-semibold">{move || words.get().page.files}</h2>
            <p class="mt-1 text-sm text-muted leading-relaxed">{move || inline(words.get().page.files_text)}</p>
            <div class="mt-3 max-h-[50vh] overflow-y-auto" role="status">
                {move || files.with(|it| match it {
                    None => view! { <p class="py-2 text-muted">{words.get().loading}</p> }.into_any(),
                    Some(Err(error)) => view! { <p class="py-2 text-bad">{explain(error, words).1}</p> }.into_any(),
                    Some(Ok(it)) if it.files.is_empty() => view! { <p class="py-2 text-muted">{words.get().page.files_none}</p> }.into_any(),
                    Some(Ok(it)) => view! {
                        <ul class="divide-y divide-line">{it.files.iter().cloned().map(row).collect::<Vec<_>>()}</ul>
                        {it.more.then(|| view! { <p class="pt-2 text-sm text-muted">{words.get().page.files_more}</p> })}
                    }.into_any(),
                })}
            </div>
            <input node_ref=picker class="hidden" type="file" multiple tabindex="-1" aria-hidden="true" on:change=picked />
            <div class="mt-5 flex justify-end gap-2">
                <button class=BUTTON on:click=move |_| { if let Some(picker) = picker.get_untracked() { picker.click(); } }>{move || words.get().page.upload}</button>
                <button class=BUTTON on:click=move |_| runner.files.set(false)>{move || words.get().close}</button>
            </div>
        </dialog>
    }
}
