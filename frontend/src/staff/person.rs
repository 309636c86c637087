//! Who uses the page, known to all its parts.

use drydock_protocol::account::{Me, Role};
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::components::A;
use leptos_router::hooks::{use_location, use_navigate};

use super::api;
use super::words::staff_words;
use crate::api::Error;
use crate::classes::{BUTTON, BUTTON_MAIN};
use crate::parts::{Sentence, explain};
use crate::settings::words;

/// The person, once the server has told.
#[derive(Clone, Copy)]
pub(crate) struct Person {
    /// What the server said; `None` until it did.
    pub(crate) me: RwSignal<Option<Result<Me, Error>>>,
}

impl Person {
    /// Asks the server who is here and gives the answer to all parts of the page.
    pub(crate) fn provide() -> Self {
        let person = Self { me: RwSignal::new(None) };
        provide_context(person);
        person.ask();
        person
    }

    /// Asks again.
    pub(crate) fn ask(self) {
        spawn_local(async move {
            let answer = api::me().await;
            self.me.set(Some(answer));
        });
    }

    /// Takes over what signing in answered.
    pub(crate) fn take(self, me: Me) {
        self.me.set(Some(Ok(me)));
    }

    /// The role, while it is known.
    pub(crate) fn role(self) -> Option<Role> {
        self.me.with(|it| it.as_ref().and_then(|it| it.as_ref().ok()).filter(|it| it.signed_in).map(|it| it.role))
    }

    /// The identifier, while it is known.
    pub(crate) fn id(self) -> Option<String> {
        self.me.with(|it| it.as_ref().and_then(|it| it.as_ref().ok()).map(|it| it.person.clone()))
    }
}

/// The person.
pub(crate) fn person() -> Person {
    expect_context()
}

/// Shows its children to those who may, and everyone else the way in.
#[component]
pub(crate) fn Guard(
    /// The least role that may.
    role: Role,
    /// The page.
    children: ChildrenFn,
) -> impl IntoView {
    let (words, texts) = (words(), staff_words());
    let person = person();
    let location = use_location();
    let state = Memo::new(move |_| {
        person.me.with(|it| match it {
            None => Gate::Unknown,
            Some(Err(_)) => Gate::Lost,
            Some(Ok(me)) if !me.signed_in => Gate::Out,
            Some(Ok(me)) if me.role < role => Gate::Small,
            Some(Ok(_)) => Gate::Open,
        })
    });
    let navigate = use_navigate();
    Effect::new(move || {
        if state.get() == Gate::Out {
            let here = js_sys::encode_uri_component(&location.pathname.get_untracked());
            let options = NavigateOptions { replace: true, ..NavigateOptions::default() };
            navigate(&format!("/staff/sign-in?to={here}"), options);
        }
    });
    move || match state.get() {
        Gate::Open => children().into_any(),
        Gate::Unknown | Gate::Out => {
            view! { <p class="p-10 text-muted" role="status">{move || words.get().loading}</p> }.into_any()
        }
        Gate::Small => view! {
            <Notice
                title=Signal::derive(move || texts.get().forbidden_title.to_owned())
                text=Signal::derive(move || texts.get().forbidden_text.to_owned())
            >
                <A href="/staff/account" attr:class=BUTTON>{move || texts.get().account}</A>
            </Notice>
        }
        .into_any(),
        Gate::Lost => {
            let said = move || {
                let error = person.me.with(|it| it.as_ref().and_then(|it| it.as_ref().err().cloned()));
                error.map(|it| explain(&it, words)).unwrap_or_default()
            };
            view! {
                <Notice title=Signal::derive(move || said().0) text=Signal::derive(move || said().1)>
                    <button class=BUTTON_MAIN on:click=move |_| person.ask()>{move || words.get().retry}</button>
                </Notice>
            }
            .into_any()
        }
    }
}

/// A sentence in place of a page.
#[component]
pub(crate) fn Notice(
    /// What is the matter.
    #[prop(into)]
    title: Signal<String>,
    /// What to do.
    #[prop(into)]
    text: Signal<String>,
    /// Buttons.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="mx-auto max-w-xl px-6 py-20">
            <Sentence title text>{children()}</Sentence>
        </div>
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Unknown,
    Lost,
    Out,
    Small,
    Open,
}
