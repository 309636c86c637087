//! The texts of the staff's pages in the present language, and times as it writes them.

use drydock_protocol::Language;
use leptos::prelude::*;
use wasm_bindgen::JsValue;

use crate::settings::settings;
use crate::text::{Punctuation, StaffTexts, punctuation, staff_texts};

/// The texts of the present language; reading it in a view follows the switch.
#[derive(Clone, Copy)]
pub(crate) struct StaffWords(RwSignal<Language>);

impl StaffWords {
    /// The texts.
    pub(crate) fn get(self) -> &'static StaffTexts {
        staff_texts(self.0.get())
    }

    /// The texts, without following the switch.
    pub(crate) fn now(self) -> &'static StaffTexts {
        staff_texts(self.0.get_untracked())
    }

    /// The marks between pieces of text.
    pub(crate) fn marks(self) -> &'static Punctuation {
        punctuation(self.0.get())
    }

    /// Day and time, as the language and the person's clock have it.
    pub(crate) fn moment(self, millis: u64) -> String {
        self.local(millis, &[("dateStyle", "medium"), ("timeStyle", "short")])
    }

    /// Day and time to the second.
    pub(crate) fn instant(self, millis: u64) -> String {
        self.local(millis, &[("dateStyle", "short"), ("timeStyle", "medium")])
    }

    fn local(self, millis: u64, options: &[(&str, &str)]) -> String {
        let wishes = js_sys::Object::new();
        for (name, value) in options {
            let _ = js_sys::Reflect::set(&wishes, &JsValue::from_str(name), &JsValue::from_str(value));
        }
        let date = js_sys::Date::new(&JsValue::from_f64(millis as f64));
        date.to_locale_string(self.0.get().tag(), &wishes).into()
    }
}

/// The texts.
pub(crate) fn staff_words() -> StaffWords {
    StaffWords(settings().language)
}
