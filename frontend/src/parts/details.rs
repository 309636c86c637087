//! The panel beside the picture that tells all about the chosen thing, and what can be done with it.

mod log;
mod sheet;

use drydock_protocol::{NodeRole, ObjectDetails, ObjectEvent};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::dialog::Confirm;
use super::faults::{ComponentFaults, Hands, NodeFaults};
use super::icons;
use super::picture::{Scene, Thing, rect};
use super::ports::links;
use super::terminals::runner;
use crate::api;
use crate::classes::{BUTTON, ICON_BUTTON, OVERLAY};
use crate::live::live;
use crate::settings::words;
use log::LogView;
use sheet::{Sheet, sheet};

/// A side of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Summary,
    Yaml,
    Events,
    Logs,
}

/// The panel.
#[component]
pub(crate) fn Details() -> impl IntoView {
    let words = words();
    let live = live();
    let scene: Scene = expect_context();
    let sheet = Memo::new(move |_| {
        let thing = scene.chosen.get()?;
        let words = words.get();
        live.topology.with(|it| sheet(&thing, it, words))
    });
    // What is looked at may go.
    Effect::new(move || {
        if scene.chosen.with(Option::is_some) && sheet.with(Option::is_none) {
            scene.chosen.set(None);
        }
    });
    // Beside what it is about, not on it.
    let side = move || {
        let chosen = scene.chosen.get();
        scene.layout.with(|it| {
            let place = chosen.as_ref().and_then(|chosen| rect(it, chosen));
            if place.is_some_and(|rect| rect.center().x > it.size.width / 2.0) { "left-4" } else { "right-4" }
        })
    };
    let tab = RwSignal::new(Tab::Summary);
    let tabs = Memo::new(move |_| {
        let mut tabs = vec![Tab::Summary];
        sheet.with(|it| {
            let Some(sheet) = it else { return };
            if sheet.object.is_some() {
                tabs.extend([Tab::Yaml, Tab::Events]);
            }
            if sheet.log.is_some() {
                tabs.push(Tab::Logs);
            }
        });
        tabs
    });
    let shown = Memo::new(move |_| if tabs.with(|it| it.contains(&tab.get())) { tab.get() } else { Tab::Summary });
    let is_open = Memo::new(move |_| sheet.with(Option::is_some));
    let title = Memo::new(move |_| {
        sheet.with(|it| it.as_ref().map(|it| (it.kind.clone(), it.name.clone())).unwrap_or_default())
    });
    let panel = NodeRef::<html::Aside>::new();
    // Who came with the keyboard goes on with it in the panel.
    Effect::new(move || {
        scene.chosen.track();
        if let Some(panel) = panel.get()
            && scene.by_key.get_untracked()
            && scene.chosen.with_untracked(Option::is_some)
        {
            let _ = panel.focus();
        }
    });
    let size = move || if shown.get() == Tab::Summary { "w-80" } else { "w-[34rem] h-[calc(100%-1rem)]" };
    view! {
        <Show when=move || is_open.get()>
            <aside
                node_ref=panel
                tabindex="-1"
                class=move || format!("{OVERLAY} rise absolute top-2 z-30 flex max-h-[calc(100%-1rem)] max-w-[calc(100%-2rem)] flex-col {} {}", size(), side())
                aria-label=move || words.get().details
            >
                <div class="flex items-start gap-2">
                    <div class="min-w-0 grow">
                        <p class="text-xs text-muted">{move || title.get().0}</p>
                        <h2 class="font-semibold break-all">{move || title.get().1}</h2>
                    </div>
                    <button class=ICON_BUTTON aria-label=move || words.get().close title=move || words.get().close on:click=move |_| scene.close()>
                        {icons::cross()}
                    </button>
                </div>
                <TabList tabs tab shown />
                <div class="flex min-h-0 grow flex-col overflow-y-auto pt-3">
                    {move || match shown.get() {
                        Tab::Summary => view! { <Summary sheet /> }.into_any(),
                        Tab::Logs => view! { <Logs sheet /> }.into_any(),
                        tab => view! { <Whole sheet tab /> }.into_any(),
                    }}
                </div>
            </aside>
        </Show>
    }
}

#[component]
fn TabList(tabs: Memo<Vec<Tab>>, tab: RwSignal<Tab>, shown: Memo<Tab>) -> impl IntoView {
    let words = words();
    let name = move |tab| {
        let scene = words.get().scene;
        match tab {
            Tab::Summary => scene.t_summary,
            Tab::Yaml => scene.t_yaml,
            Tab::Events => scene.t_events,
            Tab::Logs => scene.t_logs,
        }
    };
    let button = move |it: Tab| {
        let class = move || {
            let tone = if shown.get() == it {
                "border-accent text-ink"
            } else {
                "border-transparent text-muted hover:text-ink"
            };
            format!("cursor-pointer border-b-2 px-1.5 pb-1 text-[13px] font-medium {tone}")
        };
        view! {
            <button class=class role="tab" data-tab=format!("{it:?}") aria-selected=move || if shown.get() == it { "true" } else { "false" } on:click=move |_| tab.set(it)>
                {move || name(it)}
            </button>
        }
    };
    view! {
        <Show when=move || tabs.with(|it| it.len() > 1)>
            <div class="mt-2 flex gap-2 border-b border-line" role="tablist" aria-label=move || words.get().details>
                <For each=move || tabs.get() key=|it| *it as u8 let:it>{button(it)}</For>
            </div>
        </Show>
    }
}

/// What the picture knows, and what can be done.
#[component]
fn Summary(sheet: Memo<Option<Sheet>>) -> impl IntoView {
    let words = words();
    let scene: Scene = expect_context();
    let hands: Hands = expect_context();
    let removing = RwSignal::new(false);
    let node = Memo::new(move |_| sheet.with(|it| it.as_ref().and_then(|it| it.node.clone())));
    let component = Memo::new(move |_| sheet.with(|it| it.as_ref().and_then(|it| it.component.clone())));
    let remove = Callback::new(move |()| {
        if let Some((node, ..)) = node.get_untracked() {
            hands.remove(node);
        }
    });
    let shell = move |sheet: &Sheet| {
        let words = words.get();
        match (&sheet.node, &sheet.log, &sheet.component) {
            (Some((node, _, false)), ..) => {
                let node = node.clone();
                view! { <button class=BUTTON on:click=move |_| runner().shell(&node)>{words.scene.shell}</button> }
                    .into_any()
            }
            (None, Some((namespace, pod, containers)), None) => {
                let container = containers.first().cloned().unwrap_or_default();
                let command = format!("kubectl exec -it {pod} -n {namespace} -c {container} -- sh");
                view! { <button class=BUTTON title=command.clone() on:click=move |_| runner().run("workstation", &command)>{words.scene.shell}</button> }.into_any()
            }
            _ => ().into_any(),
        }
    };
    view! {
        {move || sheet.get().map(|sheet| view! {
            <dl class="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 text-[13px]">
                {sheet.rows.iter().map(|(name, values)| view! {
                    <dt class="text-muted">{*name}</dt>
                    <dd class="min-w-0 break-words">{values.iter().map(|it| view! { <div>{it.clone()}</div> }).collect_view()}</dd>
                }).collect_view()}
            </dl>
            <ul class="mt-3 text-[13px] empty:hidden">
                {sheet.pods.iter().map(|(id, name, state)| {
                    let thing = Thing::Pod(id.clone());
                    view! {
                        <li><button class="flex w-full cursor-pointer gap-2 rounded-md px-1.5 py-0.5 text-start hover:bg-sunken" on:click=move |_| scene.chosen.set(Some(thing.clone()))>
                            <span class="min-w-0 grow break-all">{name.clone()}</span>
                            <span class="text-muted whitespace-nowrap">{state.clone()}</span>
                        </button></li>
                    }
                }).collect_view()}
            </ul>
            <div class="mt-3 flex flex-wrap gap-2 empty:hidden">{links(&sheet.ports)}</div>
            <div class="mt-3 flex flex-wrap gap-2 empty:hidden">
                {sheet.commands.iter().map(|(name, command)| {
                    let command = command.clone();
                    view! { <button class=BUTTON title=command.clone() on:click=move |_| runner().run("workstation", &command)>{*name}</button> }
                }).collect_view()}
                {shell(&sheet)}
            </div>
        })}
        {move || node.get().map(|(name, role, off)| {
            let start = name.clone();
            view! {
                <div class="mt-3 flex flex-wrap gap-1.5 empty:hidden">
                    <NodeFaults node=name />
                    {(off && !hands.offered().contains(&drydock_protocol::FaultKind::StopNode)).then(|| view! {
                        <button class=BUTTON on:click=move |_| hands.start(start.clone())>{words.get().start_node}</button>
                    })}
                </div>
                {(role == NodeRole::Worker && hands.may_change_nodes()).then(|| view! {
                    <button class=format!("{BUTTON} mt-3 self-start") data-remove-node on:click=move |_| removing.set(true)>{words.get().scene.remove_node}</button>
                })}
            }
        })}
        {move || component.get().map(|(node, component)| view! {
            <div class="mt-3 flex flex-wrap gap-1.5 empty:hidden"><ComponentFaults node component /></div>
        })}
        <Confirm
            open=removing
            question=Signal::derive(move || words.get().scene.remove_question)
            consequence=Signal::derive(move || words.get().scene.remove_consequence)
            action=Signal::derive(move || words.get().scene.remove_node)
            on_confirm=remove
        />
    }
}

/// The log of the pod behind the sheet; built anew only for another pod.
#[component]
fn Logs(sheet: Memo<Option<Sheet>>) -> impl IntoView {
    let log = Memo::new(move |_| sheet.with(|it| it.as_ref().and_then(|it| it.log.clone())));
    move || log.get().map(|(namespace, pod, containers)| view! { <LogView namespace pod containers /> })
}

/// What the server tells of the object: YAML or events, told anew when the picture sees a change.
#[component]
fn Whole(sheet: Memo<Option<Sheet>>, tab: Tab) -> impl IntoView {
    let words = words();
    let live = live();
    let details = RwSignal::new(None::<Result<ObjectDetails, String>>);
    let asked = StoredValue::new(0_u32);
    Effect::new(move || {
        let Some((kind, namespace, name)) = sheet.with(|it| it.as_ref().and_then(|it| it.object.clone())) else {
            return;
        };
        let number = asked.get_value().wrapping_add(1);
        asked.set_value(number);
        let id = live.id.get_value();
        spawn_local(async move {
            let answer = api::object(&id, &kind, &namespace, &name).await.map_err(|error| error.to_string());
            // A later question may have been answered already.
            if asked.try_get_value() == Some(number) {
                let _ = details.try_set(Some(answer));
            }
        });
    });
    move || {
        match details.get() {
        None => view! { <p class="text-muted" role="status">{words.get().loading}</p> }.into_any(),
        Some(Err(text)) => view! { <p class="text-muted" role="status">{text}</p> }.into_any(),
        Some(Ok(it)) if tab == Tab::Events => view! { <Events events=it.events /> }.into_any(),
        Some(Ok(it)) => view! {
            <pre tabindex="0" class="min-h-0 grow overflow-auto rounded-lg bg-sunken p-2.5 font-mono text-xs leading-[1.5]" data-yaml>{it.yaml}</pre>
            {it.cut.then(|| view! { <p class="pt-2 text-xs text-muted">{words.get().scene.cut_here}</p> })}
        }
        .into_any(),
    }
    }
}

#[component]
fn Events(events: Vec<ObjectEvent>) -> impl IntoView {
    let words = words();
    let row = |event: ObjectEvent| {
        let class = if event.warning { "font-semibold text-warn-ink" } else { "font-semibold" };
        let times = if event.count > 1 { format!(" ×{}", event.count) } else { String::new() };
        view! {
            <li class="border-b border-line py-1.5 last:border-0">
                <p class="flex gap-2">
                    <span class=class>{event.reason}{times}</span>
                    <span class="grow truncate text-muted">{event.from}</span>
                    <span class="text-muted tabular-nums">{time_of_day(event.at_millis)}</span>
                </p>
                <p class="break-words">{event.message}</p>
            </li>
        }
    };
    if events.is_empty() {
        return view! { <p class="text-muted" role="status">{words.get().scene.no_events}</p> }.into_any();
    }
    // The latest first: that is what one looks for.
    view! { <ul class="text-[13px]" data-events>{events.into_iter().rev().map(row).collect_view()}</ul> }.into_any()
}

/// When, on the viewer's clock.
fn time_of_day(millis: u64) -> String {
    if millis == 0 {
        return String::new();
    }
    let date = js_sys::Date::new(&(millis as f64).into());
    format!("{:02}:{:02}:{:02}", date.get_hours(), date.get_minutes(), date.get_seconds())
}
