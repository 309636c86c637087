//! What of the session opens in a browser tab of its own: the menu in the header, and links wherever a Service or Ingress is shown.

use drydock_protocol::preview::{of_ingress, of_service, ports};
use drydock_protocol::{ObjectKey, ObjectKind, Port, Topology, path};
use leptos::prelude::*;

use super::icons;
use super::kubeconfig::Kubeconfig;
use super::menu::{Menu, MenuItem};
use crate::classes::{BUTTON, MENU_ITEM};
use crate::live::live;
use crate::settings::words;

/// Where the browser is led to a port.
fn href(port: &Port) -> String {
    live().id.with_value(|id| path::preview(id, &port.to, &port.path))
}

/// What opens of an object.
pub(crate) fn of(key: &ObjectKey, topology: &Topology) -> Vec<Port> {
    let own = |name: &str, namespace: &str| name == key.name && namespace == key.namespace;
    match key.kind {
        ObjectKind::Service => topology
            .services
            .iter()
            .find(|it| own(&it.name, &it.namespace))
            .map(|it| of_service(it, topology))
            .unwrap_or_default(),
        ObjectKind::Ingress => {
            let found = topology.ingresses.iter().find(|it| own(&it.name, &it.namespace));
            found.map(|it| of_ingress(it, topology)).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// The menu.
#[component]
pub(crate) fn Ports() -> impl IntoView {
    let words = words();
    let live = live();
    let found = Memo::new(move |_| live.topology.with(ports));
    let kubeconfig = RwSignal::new(false);
    let show = Callback::new(move |()| kubeconfig.set(true));
    let entry = |port: Port| {
        let (name, to) = (format!("{:?} {}", port.kind, port.name), href(&port));
        view! {
            <a class=format!("{MENU_ITEM} gap-4") role="menuitem" tabindex="-1" target="_blank" rel="noopener external" href=to>
                <span class="grow font-mono text-[13px]" class:text-muted=!port.ready>{port.address}</span>
                <span class="text-xs whitespace-nowrap text-muted">{name}</span>
            </a>
        }
    };
    view! {
        <Menu
            name=Signal::derive(move || words.get().scene.opens)
            class=BUTTON
            place="right-0 top-full mt-1 max-w-[90vw]"
            icon=view! { {icons::open()}<span class="max-lg:hidden">{move || words.get().page.open}</span> }.into_any()
        >
            <Show when=move || found.with(Vec::is_empty)>
                <p class="max-w-72 px-3 py-1.5 text-muted" role="presentation">{move || words.get().scene.opens_none}</p>
            </Show>
            {move || found.get().into_iter().map(entry).collect_view()}
            <Show when=move || live.own.get()>
                <hr class="my-1 border-line" role="presentation" />
                <MenuItem on_pick=show>{move || words.get().kubeconfig.title}</MenuItem>
            </Show>
        </Menu>
        <Show when=move || live.own.get()>
            <Kubeconfig open=kubeconfig />
        </Show>
    }
}

/// Links to all that opens of the object that is looked at.
pub(crate) fn links(ports: &[Port]) -> impl IntoView + use<> {
    let link = |port: &Port| {
        view! {
            <a class=format!("{BUTTON} max-w-full") target="_blank" rel="noopener external" href=href(port)>
                {icons::open()}<span class="truncate">{port.address.clone()}</span>
            </a>
        }
    };
    ports.iter().map(link).collect_view()
}

/// The mark on a chip of the picture, for the pointer; by keyboard the details have the same links.
pub(crate) fn mark(
    port: Memo<Option<Port>>,
    at: impl Fn() -> (f64, f64) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let words = words();
    view! {
        {move || port.get().map(|port| {
            let target = href(&port);
            let open = move |event: web_sys::MouseEvent| {
                event.stop_propagation();
                let _ = window().open_with_url_and_target_and_features(&target, "_blank", "noopener");
            };
            view! {
                <g class="opens" aria-hidden="true" transform=move || { let (x, y) = at(); format!("translate({x:.1},{y:.1})") } on:click=open>
                    <title>{move || words.get().page.open}" "{port.address.clone()}</title>
                    <rect x="-10" y="-10" width="20" height="20" rx="6" />
                    <path d="M-1 -4H-4.5V4.5H4V1M1 -4.5H4.5V-1M4.5 -4.5L-0.5 0.5" />
                </g>
            }
        })}
    }
}
