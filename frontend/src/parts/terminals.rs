//! The terminals of a session as tabs: the workstation, each node, and as many more as wanted.

use drydock_protocol::{Node, NodeState};
use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::icons;
use super::terminal::{Address, Order, Terminal};
use crate::classes::TAB;
use crate::live::live;
use crate::settings::{recall, remember, words};

/// The learner's own machine.
const WORKSTATION: &str = "workstation";

/// A terminal.
#[derive(Clone, PartialEq, Eq)]
struct Tab {
    id: String,
    node: String,
    order: RwSignal<Vec<Order>>,
}

impl Tab {
    fn new(id: &str, node: &str) -> Self {
        Self { id: id.to_owned(), node: node.to_owned(), order: RwSignal::default() }
    }

    /// Whether the learner opened it and may close it.
    fn is_extra(&self) -> bool {
        self.id != self.node
    }
}

/// The terminals, for whatever wants to run something in them.
#[derive(Clone, Copy)]
pub(crate) struct Runner {
    tabs: RwSignal<Vec<Tab>>,
    active: RwSignal<String>,
}

impl Runner {
    /// Makes the terminals known to the page.
    pub(crate) fn provide() -> Self {
        let runner = Self {
            tabs: RwSignal::new(vec![Tab::new(WORKSTATION, WORKSTATION)]),
            active: RwSignal::new(WORKSTATION.to_owned()),
        };
        provide_context(runner);
        runner
    }

    /// Types `command` and Enter into the terminal on `node`: the one on show if it is on that node.
    pub(crate) fn run(self, node: &str, command: &str) {
        let shown = self.active.get_untracked();
        let tab = self.tabs.with_untracked(|tabs| {
            let on_show = tabs.iter().find(|it| it.id == shown && it.node == node);
            on_show.or_else(|| tabs.iter().find(|it| it.node == node)).cloned()
        });
        let Some(tab) = tab else { return };
        self.active.set(tab.id);
        tab.order.update(|it| it.push(Order::Run(command.to_owned())));
    }

    /// Shows a shell on `node` and gives it the keyboard.
    pub(crate) fn shell(self, node: &str) {
        if let Some(tab) = self.tabs.with_untracked(|tabs| tabs.iter().find(|it| it.node == node).cloned()) {
            self.active.set(tab.id);
            tab.order.update(|it| it.push(Order::Focus));
        }
    }

    fn focus(self) {
        let shown = self.active.get_untracked();
        if let Some(tab) = self.tabs.with_untracked(|it| it.iter().find(|it| it.id == shown).cloned()) {
            tab.order.update(|it| it.push(Order::Focus));
        }
    }
}

/// The terminals.
pub(crate) fn runner() -> Runner {
    expect_context()
}

/// The pane.
#[component]
pub(crate) fn Terminals() -> impl IntoView {
    let words = words();
    let live = live();
    let Runner { tabs, active } = runner();
    let key = format!("terminals.{}", live.id.get_value());
    let extras = recall(&key).unwrap_or_default();
    tabs.update(|tabs| {
        for id in extras.split(' ').filter(|it| !it.is_empty()) {
            if !tabs.iter().any(|it| it.id == id) {
                tabs.push(Tab::new(id, WORKSTATION));
            }
        }
    });
    let save = move || {
        let extras: Vec<String> =
            tabs.with_untracked(|it| it.iter().filter(|it| it.is_extra()).map(|it| it.id.clone()).collect());
        remember(&key, &extras.join(" "));
    };
    let nodes =
        Memo::new(move |_| live.topology.with(|it| it.nodes.iter().map(|it| it.name.clone()).collect::<Vec<_>>()));
    Effect::new(move || {
        let nodes = nodes.get();
        let known = tabs.with_untracked(|it| it.iter().map(|it| it.id.clone()).collect::<Vec<_>>());
        if nodes.iter().any(|it| !known.contains(it)) {
            tabs.update(|tabs| {
                for node in nodes.iter().filter(|it| !known.contains(it)) {
                    // Nodes stand between the workstation and what the learner opened.
                    let place = tabs.iter().position(Tab::is_extra).unwrap_or(tabs.len());
                    tabs.insert(place, Tab::new(node, node));
                }
            });
        }
    });
    let save_new = save.clone();
    let add = move |_| {
        let id = (2..)
            .map(|it| format!("{WORKSTATION}-{it}"))
            .find(|id| tabs.with_untracked(|it| !it.iter().any(|it| it.id == *id)));
        if let Some(id) = id {
            tabs.update(|it| it.push(Tab::new(&id, WORKSTATION)));
            active.set(id);
            save_new();
        }
    };
    let close = Callback::new(move |id: String| {
        if let Some(tab) = tabs.with_untracked(|it| it.iter().find(|it| it.id == id).cloned()) {
            tab.order.update(|it| it.push(Order::Close));
        }
        if active.get_untracked() == id {
            active.set(WORKSTATION.to_owned());
        }
        let save = save.clone();
        // The order reaches the shell before its terminal goes.
        set_timeout(
            move || {
                tabs.update(|it| it.retain(|it| it.id != id));
                save();
            },
            std::time::Duration::from_millis(50),
        );
    });
    // Arrow keys walk through the tabs, as the pattern for tab lists wants it.
    let walk = move |event: KeyboardEvent| {
        let step: isize = match event.key().as_str() {
            "ArrowLeft" => -1,
            "ArrowRight" => 1,
            _ => return,
        };
        event.prevent_default();
        let next = tabs.with_untracked(|it| {
            let here = it.iter().position(|it| it.id == active.get_untracked()).unwrap_or(0);
            it[(here as isize + step).rem_euclid(it.len() as isize) as usize].id.clone()
        });
        active.set(next.clone());
        if let Some(tab) = document().get_element_by_id(&format!("tab-{next}")) {
            use wasm_bindgen::JsCast as _;
            let _ = tab.unchecked_into::<web_sys::HtmlElement>().focus();
        }
    };
    view! {
        <section class="flex h-full min-h-0 flex-col bg-term text-term-ink" aria-label=move || words.get().terminals>
            <div class="flex shrink-0 items-end gap-0.5 overflow-x-auto bg-term-bar px-2 pt-1.5">
                <div class="flex items-end gap-0.5" role="tablist" aria-label=move || words.get().terminals on:keydown=walk>
                    <For each=move || tabs.get() key=|it| it.id.clone() let:tab>
                        <TabButton tab active close />
                    </For>
                </div>
                <button class="mb-1 cursor-pointer rounded-md p-1.5 text-term-muted hover:text-term-ink" on:click=add aria-label=move || words.get().new_tab title=move || words.get().new_tab>
                    {icons::plus()}
                </button>
            </div>
            <div class="min-h-0 grow" role="tabpanel" aria-labelledby=move || format!("tab-{}", active.get()) on:click=move |_| runner().focus()>
                <Show when=move || live.is_ready() fallback=move || view! { <p class="p-5 text-sm text-term-muted">{move || words.get().term_waits}</p> }>
                    <For each=move || tabs.get() key=|it| it.id.clone() let:tab>
                        {
                            let id = tab.id.clone();
                            let address = Address { session: live.id.get_value(), terminal: tab.id, node: tab.node };
                            view! { <Terminal address active=Signal::derive(move || active.with(|it| *it == id)) order=tab.order /> }
                        }
                    </For>
                </Show>
            </div>
        </section>
    }
}

#[component]
fn TabButton(tab: Tab, active: RwSignal<String>, close: Callback<String>) -> impl IntoView {
    let words = words();
    let live = live();
    let extra = tab.is_extra();
    let (id, node) = (StoredValue::new(tab.id.clone()), tab.node.clone());
    let chosen = move || active.with(|it| id.with_value(|id| it == id));
    let off = Memo::new(move |_| {
        live.topology.with(|it| it.nodes.iter().any(|it: &Node| it.name == node && it.state == NodeState::Stopped))
    });
    view! {
        <span class="inline-flex items-center">
            <button
                id=id.with_value(|it| format!("tab-{it}"))
                class=TAB
                class:opacity-50=off
                role="tab"
                aria-selected=move || if chosen() { "true" } else { "false" }
                tabindex=move || if chosen() { "0" } else { "-1" }
                on:click=move |_| {
                    active.set(id.get_value());
                    runner().focus();
                }
            >
                {id.get_value()}
            </button>
            {extra.then(|| view! {
                <button
                    class="-ms-2 me-1 cursor-pointer rounded p-0.5 text-term-muted hover:text-term-ink"
                    aria-label=move || words.get().close_tab
                    title=move || words.get().close_tab
                    on:click=move |_| close.run(id.get_value())
                >
                    {icons::cross()}
                </button>
            })}
        </span>
    }
}
