//! The frame of the app: settings, routes.

use leptos::prelude::*;
use leptos_router::components::{Route, Router, Routes};
use leptos_router::path;

use crate::pages::{Catalogue, JoinPage, NotFound, SessionPage};
use crate::settings::Settings;

/// Puts the app into the page.
pub fn mount() {
    console_error_panic_hook::set_once();
    mount_to_body(App);
}

#[component]
fn App() -> impl IntoView {
    Settings::provide();
    view! {
        <Router>
            <Routes fallback=NotFound>
                <Route path=path!("/") view=Catalogue />
                <Route path=path!("/sessions/:id") view=SessionPage />
                <Route path=path!("/join/:code?") view=JoinPage />
            </Routes>
        </Router>
    }
}
