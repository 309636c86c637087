//! The audit log: who did what.

use drydock_protocol::account::{Deed, Role};
use leptos::prelude::*;

use super::api;
use super::loaded::Loaded;
use super::person::Guard;
use super::shell::Page;
use super::table::{Cell, HEAD, HEAD_FIGURE, TABLE};
use super::words::staff_words;
use crate::classes::BUTTON;

/// The page.
#[component]
pub(crate) fn DeedsPage() -> impl IntoView {
    view! { <Guard role=Role::Operator><Deeds /></Guard> }
}

#[component]
fn Deeds() -> impl IntoView {
    let texts = staff_words();
    let before = RwSignal::new(None::<u64>);
    let deeds = Loaded::new(move || api::deeds(before.get()));
    let row = move |deed: Deed| {
        let refused = deed.outcome >= 400;
        let name = deed.name.clone().unwrap_or_else(|| texts.get().anonymous.to_owned());
        view! {
            <tr>
                <Cell quiet=true>{texts.instant(deed.at_millis)}</Cell>
                <Cell><span title=deed.person>{name}</span>" "<span class="text-muted">{deed.role}</span></Cell>
                <Cell><code class="font-mono text-[13px]">{deed.action}</code></Cell>
                <Cell><code class="font-mono text-[13px] break-all">{deed.object}</code></Cell>
                <Cell quiet=true>{deed.address}</Cell>
                <Cell figure=true><span class=if refused { "font-semibold text-bad" } else { "" }>{deed.outcome}</span></Cell>
            </tr>
        }
    };
    let table = move |list: Vec<Deed>| {
        if list.is_empty() {
            return view! { <p class="mt-8 text-muted">{texts.get().no_deeds}</p> }.into_any();
        }
        let last = list.last().map(|it| it.id);
        view! {
            <div class="mt-6 overflow-x-auto rounded-xl border border-line bg-surface" tabindex="0" role="region" aria-label=texts.get().deeds>
                <table class=TABLE>
                    <thead>
                        <tr>
                            <th class=HEAD scope="col">{texts.get().at}</th>
                            <th class=HEAD scope="col">{texts.get().who}</th>
                            <th class=HEAD scope="col">{texts.get().what}</th>
                            <th class=HEAD scope="col">{texts.get().object}</th>
                            <th class=HEAD scope="col">{texts.get().from}</th>
                            <th class=HEAD_FIGURE scope="col">{texts.get().outcome}</th>
                        </tr>
                    </thead>
                    <tbody class="divide-y divide-line">{list.into_iter().map(row).collect::<Vec<_>>()}</tbody>
                </table>
            </div>
            <div class="mt-4 flex gap-2">
                <button class=BUTTON on:click=move |_| before.set(last)>{texts.get().older}</button>
                <button class=BUTTON on:click=move |_| { before.set(None); deeds.again(); }>{texts.get().newer}</button>
            </div>
        }
        .into_any()
    };
    view! {
        <Page
            title=Signal::derive(move || texts.get().deeds.to_owned())
            wide=true
            tools=move || view! { <a class=BUTTON href=drydock_protocol::path::deeds_csv() rel="external" download="">"CSV"</a> }
        >
            {deeds.show(table)}
        </Page>
    }
}
