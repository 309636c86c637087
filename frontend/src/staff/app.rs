//! The frame of the staff's app: settings, who is here, routes.

use leptos::prelude::*;
use leptos_router::components::{Redirect, Route, Router, Routes};
use leptos_router::path;

use super::account::AccountPage;
use super::accounts::AccountsPage;
use super::class::ClassPage;
use super::classes::ClassesPage;
use super::deeds::DeedsPage;
use super::entrance::{Setup, SignIn};
use super::new_class::NewClassPage;
use super::person::{Notice, Person};
use super::server::ServerPage;
use super::sessions::SessionsPage;
use super::shell::Header;
use super::words::staff_words;
use crate::classes::BUTTON_MAIN;
use crate::settings::{Settings, words};

/// Puts the app into the page.
pub fn mount() {
    console_error_panic_hook::set_once();
    mount_to_body(App);
}

#[component]
fn App() -> impl IntoView {
    Settings::provide();
    Person::provide();
    view! {
        <Router>
            <Header />
            <Routes fallback=Absent>
                <Route path=path!("/staff") view=|| view! { <Redirect path="/staff/classes" /> } />
                <Route path=path!("/staff/sign-in") view=SignIn />
                <Route path=path!("/staff/setup") view=Setup />
                <Route path=path!("/staff/account") view=AccountPage />
                <Route path=path!("/staff/accounts") view=AccountsPage />
                <Route path=path!("/staff/classes") view=ClassesPage />
                <Route path=path!("/staff/classes/new") view=NewClassPage />
                <Route path=path!("/staff/classes/:id") view=ClassPage />
                <Route path=path!("/staff/server") view=ServerPage />
                <Route path=path!("/staff/sessions") view=SessionsPage />
                <Route path=path!("/staff/deeds") view=DeedsPage />
            </Routes>
        </Router>
    }
}

/// The answer to an address that leads nowhere.
#[component]
fn Absent() -> impl IntoView {
    let (words, texts) = (words(), staff_words());
    view! {
        <main id="main">
            <Notice
                title=Signal::derive(move || words.get().not_found_title.to_owned())
                text=Signal::derive(move || texts.get().absent_text.to_owned())
            >
                <leptos_router::components::A href="/staff/classes" attr:class=BUTTON_MAIN>{move || texts.get().back}</leptos_router::components::A>
            </Notice>
        </main>
    }
}
