//! What a person chose and the browser remembers: language, theme, sizes of panes.

use drydock_protocol::Language;
use gloo::events::EventListener;
use leptos::prelude::*;

use crate::text::{Punctuation, Texts, punctuation, texts};

/// The choices that all parts of the page share.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// Language of the interface and, where there is a translation, of lessons.
    pub(crate) language: RwSignal<Language>,
    /// Whether the dark theme is on.
    pub(crate) dark: RwSignal<bool>,
}

/// The texts of the present language; reading it in a view follows the switch.
#[derive(Clone, Copy)]
pub(crate) struct Words(RwSignal<Language>);

impl Words {
    /// The texts.
    pub(crate) fn get(self) -> &'static Texts {
        texts(self.0.get())
    }

    /// The texts, without following the switch.
    pub(crate) fn now(self) -> &'static Texts {
        texts(self.0.get_untracked())
    }

    /// The marks between pieces of text.
    pub(crate) fn marks(self) -> &'static Punctuation {
        punctuation(self.0.get())
    }
}

impl Settings {
    /// Reads what was remembered and gives it to all parts of the page.
    pub(crate) fn provide() -> Self {
        let language = recall("language").and_then(|it| Language::from_tag(&it)).unwrap_or_else(|| {
            let languages = window().navigator().languages();
            let tags: Vec<String> = languages.iter().filter_map(|it| it.as_string()).collect();
            Language::negotiate(tags.iter().map(String::as_str))
        });
        let settings = Self { language: RwSignal::new(language), dark: RwSignal::new(root_class().contains("dark")) };
        Effect::new(move || {
            if let Some(root) = document().document_element() {
                let _ = root.set_attribute("lang", settings.language.get().tag());
            }
        });
        settings.follow_system();
        provide_context(settings);
        provide_context(Words(settings.language));
        settings
    }

    /// Switches the language and remembers it.
    pub(crate) fn choose_language(self, language: Language) {
        remember("language", language.tag());
        self.language.set(language);
    }

    /// Switches between light and dark and remembers it.
    pub(crate) fn toggle_theme(self) {
        let dark = !self.dark.get_untracked();
        remember("theme", if dark { "dark" } else { "light" });
        self.show(dark);
    }

    fn show(self, dark: bool) {
        let _ = root_class().toggle_with_force("dark", dark);
        self.dark.set(dark);
    }

    /// Goes from light to dark and back with the system, as long as nobody chose.
    fn follow_system(self) {
        let Ok(Some(system)) = window().match_media("(prefers-color-scheme: dark)") else { return };
        let asked = system.clone();
        let listener = EventListener::new(&system, "change", move |_| {
            if recall("theme").is_none() {
                self.show(asked.matches());
            }
        });
        // As long as the page.
        listener.forget();
    }
}

/// The choices.
pub(crate) fn settings() -> Settings {
    expect_context()
}

/// The texts.
pub(crate) fn words() -> Words {
    expect_context()
}

fn root_class() -> web_sys::DomTokenList {
    document().document_element().expect("a document has a root element").class_list()
}

/// What was remembered under `key`; storage may be forbidden, and then nothing ever is.
pub(crate) fn recall(key: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(&format!("drydock.{key}")).ok()?
}

/// Remembers `value` under `key` where storage is allowed.
pub(crate) fn remember(key: &str, value: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.set_item(&format!("drydock.{key}"), value);
    }
}

/// Forgets what was remembered under `key`.
pub(crate) fn forget(key: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.remove_item(&format!("drydock.{key}"));
    }
}

/// Forgets all that was remembered of a session that is over.
pub(crate) fn forget_session(id: &str) {
    let Ok(Some(storage)) = window().local_storage() else { return };
    let count = storage.length().unwrap_or(0);
    let keys: Vec<String> = (0..count).filter_map(|it| storage.key(it).ok().flatten()).collect();
    for key in keys.iter().filter(|key| key.starts_with("drydock.") && key.contains(id)) {
        let _ = storage.remove_item(key);
    }
}
