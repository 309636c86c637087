//! Every session of the server, each with its end.

use std::time::Duration;

use drydock_protocol::SessionState;
use drydock_protocol::account::Role;
use drydock_protocol::operator::SessionLoad;
use leptos::prelude::*;

use super::api;
use super::loaded::{Doing, Loaded};
use super::person::Guard;
use super::shell::Page;
use super::table::{Cell, HEAD, HEAD_FIGURE, TABLE};
use super::words::{StaffWords, staff_words};
use crate::classes::LINK;
use crate::format;
use crate::parts::Confirm;

/// How often the list is asked for while it is looked at.
const AGAIN: Duration = Duration::from_secs(5);

/// The page.
#[component]
pub(crate) fn SessionsPage() -> impl IntoView {
    view! { <Guard role=Role::Operator><Sessions /></Guard> }
}

fn state_name(state: SessionState, texts: StaffWords) -> (&'static str, &'static str) {
    let texts = texts.get();
    match state {
        SessionState::Pending => (texts.s_pending, "text-muted"),
        SessionState::Starting => (texts.s_starting, "text-info-ink"),
        SessionState::Ready => (texts.s_ready, "text-good-ink"),
        SessionState::Suspended => (texts.s_suspended, "text-info-ink"),
        SessionState::Ending => (texts.s_ending, "text-muted"),
        SessionState::Ended => (texts.s_ended, "text-muted"),
        SessionState::Failed => (texts.s_failed, "text-bad"),
    }
}

#[component]
fn Sessions() -> impl IntoView {
    let texts = staff_words();
    let overview = Loaded::new(api::overview);
    super::server::every(AGAIN, move || overview.again());
    let ending = RwSignal::new(None::<String>);
    let (asking, doing) = (RwSignal::new(false), Doing::new());
    let end = Callback::new(move |()| {
        let Some(id) = ending.get_untracked() else { return };
        doing.run(async move { crate::api::end(&id).await }, move |_| overview.again());
    });
    let row = move |it: SessionLoad| {
        let (state, tone) = state_name(it.state, texts);
        let id = it.id.clone();
        let ask = move |_| {
            ending.set(Some(id.clone()));
            asking.set(true);
        };
        let label = texts.marks().labelled(texts.get().end_session, &it.name);
        view! {
            <tr>
                <Cell><code class="font-mono text-[13px]">{it.name}</code></Cell>
                <Cell>{it.lesson.unwrap_or_else(|| texts.get().no_step.to_owned())}</Cell>
                <Cell><span class=format!("font-medium whitespace-nowrap {tone}")>{state}</span></Cell>
                <Cell figure=true>{(texts.get().of_all)(&it.nodes_ready.to_string(), &it.nodes.to_string())}</Cell>
                <Cell figure=true>{it.memory_bytes.map(format::bytes)}</Cell>
                <Cell figure=true>{it.start_millis.map(format::millis)}</Cell>
                <Cell quiet=true>{texts.moment(it.created_millis)}</Cell>
                <Cell quiet=true>{texts.moment(it.expires_millis)}</Cell>
                <Cell><button class=LINK disabled=doing.busy on:click=ask aria-label=label>{texts.get().end_session}</button></Cell>
            </tr>
        }
    };
    let rows = Memo::new(move |_| overview.get().map(|it| it.sessions).unwrap_or_default());
    let loaded = Memo::new(move |_| overview.get().is_some());
    let table = move || {
        view! {
            <div class="mt-6 overflow-x-auto rounded-xl border border-line bg-surface" tabindex="0" role="region" aria-label=texts.get().sessions>
                <table class=TABLE>
                    <thead>
                        <tr>
                            <th class=HEAD scope="col">{texts.get().session}</th>
                            <th class=HEAD scope="col">{texts.get().lesson}</th>
                            <th class=HEAD scope="col">{texts.get().state}</th>
                            <th class=HEAD_FIGURE scope="col">{texts.get().nodes}</th>
                            <th class=HEAD_FIGURE scope="col">{texts.get().memory}</th>
                            <th class=HEAD_FIGURE scope="col">{texts.get().started_in}</th>
                            <th class=HEAD scope="col">{texts.get().created}</th>
                            <th class=HEAD scope="col">{texts.get().ends}</th>
                            <td class=HEAD></td>
                        </tr>
                    </thead>
                    <tbody class="divide-y divide-line">{rows.get().into_iter().map(row).collect::<Vec<_>>()}</tbody>
                </table>
            </div>
        }
    };
    view! {
        <Page title=Signal::derive(move || texts.get().sessions.to_owned()) wide=true>
            {doing.alert()}
            <Show when=move || loaded.get() fallback=move || overview.show(|_| ().into_any())>
                <Show when=move || rows.with(|it| !it.is_empty()) fallback=move || view! { <p class="mt-8 text-muted">{move || texts.get().no_sessions}</p> }>
                    {table}
                </Show>
            </Show>
            <Confirm
                open=asking
                question=Signal::derive(move || texts.get().end_session_q)
                consequence=Signal::derive(move || texts.get().end_session_c)
                action=Signal::derive(move || texts.get().end_session)
                on_confirm=end
            />
        </Page>
    }
}
