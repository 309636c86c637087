//! The lower pane: shells and files as tabs, on one side or two.

mod bar;
mod editor;
mod files;

use std::collections::HashMap;
use std::time::Duration;

use drydock_protocol::file::{FILE_LIMIT, check_path};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::{DragEvent, FileList};

use super::panes::{Split, Splitter};
use super::sentence::explain;
use super::terminal::{Address, Order, Terminal};
use crate::live::live;
use crate::settings::{Words, recall, remember, words};
use crate::tabs::{Tabs, What};
use crate::{api, format};
use bar::Bar;
use editor::Editor;
use files::FilesDialog;

/// How long good news is shown.
const NEWS: Duration = Duration::from_secs(8);

/// What the pane has to say: a file arrived, or did not.
#[derive(Clone, PartialEq, Eq)]
struct Said {
    text: String,
    is_bad: bool,
    /// A file that can be had.
    file: Option<Way>,
}

/// What can be done with a file that the pane speaks of.
#[derive(Clone, PartialEq, Eq)]
enum Way {
    /// Opened in the editor.
    Open(String),
    /// Taken to the learner's own machine.
    Take(String),
}

/// The pane, for whatever wants to run or open something in it.
#[derive(Clone, Copy)]
pub(crate) struct Runner {
    tabs: RwSignal<Tabs>,
    /// What is asked of terminals, by tab; taken when done.
    orders: RwSignal<Vec<(String, Order)>>,
    /// Texts for files that do not exist yet, by path.
    seeds: StoredValue<HashMap<String, String>>,
    said: RwSignal<Option<Said>>,
    files: RwSignal<bool>,
    session: StoredValue<String>,
    words: Words,
}

impl Runner {
    /// Makes the pane of a session known to the page, with the tabs that were there before.
    pub(crate) fn provide(session: &str) -> Self {
        let key = format!("tabs.{session}");
        let tabs = RwSignal::new(Tabs::remembered(recall(&key).as_deref()));
        Effect::new(move || tabs.with(|it| remember(&key, &it.to_text())));
        let runner = Self {
            tabs,
            orders: RwSignal::default(),
            seeds: StoredValue::default(),
            said: RwSignal::new(None),
            files: RwSignal::new(false),
            session: StoredValue::new(session.to_owned()),
            words: words(),
        };
        provide_context(runner);
        runner
    }

    /// Types `command` and Enter into a shell on `node`: the one on show if it is on that node.
    pub(crate) fn run(self, node: &str, command: &str) {
        self.shell(node);
        let shown = self.tabs.with_untracked(|it| it.shown(it.side()).map(|it| it.id.clone()));
        self.order(shown.unwrap_or_default(), Order::Run(command.to_owned()));
    }

    /// Shows a shell on `node` and gives it the keyboard.
    pub(crate) fn shell(self, node: &str) {
        let id = self.change(|tabs| tabs.shell(node));
        self.order(id, Order::Focus);
    }

    /// Opens a file of the home folder in the editor; `seed` is its text where it does not exist.
    pub(crate) fn open_file(self, path: &str, seed: Option<String>) {
        if let Some(seed) = seed {
            self.seeds.update_value(|it| drop(it.insert(path.to_owned(), seed)));
        }
        self.change(|tabs| tabs.file(path));
    }

    fn change<T>(self, change: impl FnOnce(&mut Tabs) -> T) -> T {
        let mut tabs = self.tabs.get_untracked();
        let out = change(&mut tabs);
        self.tabs.set(tabs);
        out
    }

    fn order(self, id: String, order: Order) {
        self.orders.update(|it| it.push((id, order)));
    }

    fn show(self, id: &str) {
        if self
            .tabs
            .with_untracked(|it| it.get(id).is_some_and(|tab| it.shown(tab.side) != Some(tab) || it.side() != tab.side))
        {
            self.change(|tabs| tabs.show(id));
        }
    }

    /// Gives the keyboard to what a side shows.
    fn focus(self, side: usize) {
        if let Some(id) = self.tabs.with_untracked(|it| it.shown(side).map(|it| it.id.clone())) {
            self.order(id, Order::Focus);
        }
    }

    fn close(self, id: &str) {
        let Some(tab) = self.tabs.with_untracked(|it| it.get(id).filter(|_| it.can_close()).cloned()) else { return };
        if let What::Shell(node) = &tab.what {
            self.session.with_value(|session| api::close_terminal(session, &tab.id, node));
        }
        self.change(|tabs| tabs.close(id));
        self.focus(tab.side);
    }

    fn say(self, text: String, is_bad: bool, file: Option<Way>) {
        let said = Said { text, is_bad, file };
        let _ = self.said.try_set(Some(said.clone()));
        // Good news goes by itself; trouble and offers stay until they were seen.
        if !is_bad && !matches!(said.file, Some(Way::Take(_))) {
            let over = move || {
                if self.said.try_with_untracked(|it| it.as_ref() == Some(&said)) == Some(true) {
                    self.said.set(None);
                }
            };
            set_timeout(over, NEWS);
        }
    }

    /// Offers a file of the home folder, as a program in a shell asked for. Nothing is fetched before the learner clicks:
    /// whatever runs in the cluster can write to the terminal.
    fn offer(self, path: String) {
        if check_path(&path).is_ok() {
            self.say((self.words.now().page.offered)(&path), false, Some(Way::Take(path)));
        }
    }

    /// Takes files into the home folder.
    fn upload(self, list: &FileList) {
        let words = self.words;
        for file in (0..list.length()).filter_map(|it| list.item(it)) {
            let name = file.name();
            if file.size() > FILE_LIMIT as f64 {
                self.say((words.now().page.too_large)(&name, FILE_LIMIT >> 20), true, None);
                continue;
            }
            let id = self.session.get_value();
            spawn_local(async move {
                match api::write_file(&id, &name, file.as_ref()).await {
                    Ok(stored) => {
                        let text =
                            format!("{} ({})", (words.now().page.uploaded)(&stored.path), format::size(stored.bytes));
                        let is_manifest = [".yaml", ".yml", ".json"].iter().any(|end| stored.path.ends_with(end));
                        self.say(text, false, is_manifest.then_some(Way::Open(stored.path)));
                    }
                    Err(error) => {
                        self.say((words.now().page.not_uploaded)(&name, &explain(&error, words).1), true, None);
                    }
                }
            });
        }
    }
}

/// The pane.
pub(crate) fn runner() -> Runner {
    expect_context()
}

/// The pane.
#[component]
pub(crate) fn Terminals() -> impl IntoView {
    let words = words();
    let live = live();
    let runner = runner();
    let split = Memo::new(move |_| runner.tabs.with(Tabs::is_split));
    let sides = Split::remembered("split.sides", 50.0, (20.0, 80.0));
    let dragging = RwSignal::new(false);
    let has_files = |event: &DragEvent| {
        event.data_transfer().is_some_and(|it| it.types().iter().any(|it| it.as_string().as_deref() == Some("Files")))
    };
    let over = move |event: DragEvent| {
        if has_files(&event) && live.is_ready() {
            event.prevent_default();
            dragging.set(true);
        }
    };
    let place = NodeRef::<html::Section>::new();
    let leave = move |event: DragEvent| {
        use wasm_bindgen::JsCast as _;
        let next = event.related_target().and_then(|it| it.dyn_into::<web_sys::Node>().ok());
        if !place.get_untracked().is_some_and(|it| next.is_some() && it.contains(next.as_ref())) {
            dragging.set(false);
        }
    };
    let dropped = move |event: DragEvent| {
        dragging.set(false);
        if let Some(list) = event.data_transfer().and_then(|it| it.files()).filter(|it| it.length() > 0) {
            event.prevent_default();
            runner.upload(&list);
        }
    };
    view! {
        // Dark in both themes, with all that is in it.
        <section
            node_ref=place
            class="dark relative flex h-full min-h-0 flex-col bg-term text-ink"
            aria-label=move || words.get().terminals
            on:dragover=over
            on:dragleave=leave
            on:drop=dropped
        >
            <div class="flex min-h-0 grow">
                <div class="min-h-0 min-w-0" style:width=move || if split.get() { format!("{}%", sides.share.get()) } else { "100%".to_owned() }>
                    <Side side=0 />
                </div>
                <Show when=move || split.get()>
                    <Splitter split=sides side_by_side=true name=Signal::derive(move || words.get().page.resize_sides) />
                    <div class="min-h-0 min-w-0 grow basis-0"><Side side=1 /></div>
                </Show>
            </div>
            <Status />
            <Show when=move || dragging.get()>
                <p class="pointer-events-none absolute inset-2 z-20 grid place-items-center rounded-xl border-2 border-dashed border-accent bg-term/90 p-4 text-center font-medium">
                    {move || words.get().page.drop}
                </p>
            </Show>
        </section>
        <FilesDialog />
    }
}

/// One side: its tabs and what the chosen one shows.
#[component]
fn Side(side: usize) -> impl IntoView {
    let words = words();
    let live = live();
    let runner = runner();
    let tabs = move || runner.tabs.with(|it| it.on(side).cloned().collect::<Vec<_>>());
    let offered = Callback::new(move |path| runner.offer(path));
    let label = move || runner.tabs.with(|it| it.shown(side).map(|it| bar::element_id(&it.id)));
    view! {
        <div class="flex h-full min-h-0 flex-col">
            <Bar side />
            <div class="min-h-0 grow" role="tabpanel" aria-labelledby=label>
                <Show when=move || live.is_ready() fallback=move || view! { <p class="p-5 text-sm text-term-muted">{move || words.get().term_waits}</p> }>
                    <For each=tabs key=|it| it.id.clone() let:tab>
                        {
                            let id = StoredValue::new(tab.id.clone());
                            let active = Signal::derive(move || runner.tabs.with(|it| id.with_value(|id| it.shown(side).is_some_and(|it| it.id == *id))));
                            match tab.what {
                                What::Shell(node) => {
                                    let address = Address { session: live.id.get_value(), terminal: tab.id, node };
                                    view! { <div class="h-full" class:hidden=move || !active.get() on:click=move |_| runner.focus(side)><Terminal address active orders=runner.orders offered /></div> }.into_any()
                                }
                                What::File(path) => view! { <Editor id=tab.id path active /> }.into_any(),
                            }
                        }
                    </For>
                </Show>
            </div>
        </div>
    }
}

/// What the pane has to say.
#[component]
fn Status() -> impl IntoView {
    let words = words();
    let runner = runner();
    view! {
        // Above the shells, so that they keep their size.
        <div role="status" class="absolute right-3 bottom-3 left-3 z-10 empty:hidden">
            {move || runner.said.get().map(|Said { text, is_bad, file }| view! {
                <div class="rise ms-auto flex w-fit max-w-full items-center gap-3 rounded-lg border border-line-strong bg-surface px-4 py-1.5 text-sm">
                    <p class="min-w-0 grow" class:text-bad=is_bad>{text}</p>
                    {file.map(|way| match way {
                        Way::Open(path) => view! {
                            <button class=crate::classes::LINK on:click=move |_| { runner.said.set(None); runner.open_file(&path, None); }>{words.get().page.open_editor}</button>
                        }.into_any(),
                        Way::Take(path) => {
                            let address = runner.session.with_value(|id| api::file_address(id, &path));
                            let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
                            view! { <a class=crate::classes::LINK href=address download=name rel="external">{words.get().page.download}</a> }.into_any()
                        }
                    })}
                    <button class=crate::classes::ICON_BUTTON aria-label=words.get().close title=words.get().close on:click=move |_| runner.said.set(None)>{super::icons::cross()}</button>
                </div>
            })}
        </div>
    }
}
