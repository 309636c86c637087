//! What a page loads, and what it shows meanwhile and when that fails.

use std::future::Future;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::person::person;
use crate::api::Error;
use crate::classes::BUTTON_MAIN;
use crate::parts::{Sentence, explain};
use crate::settings::words;

/// What the server answered, or not yet.
pub(crate) struct Loaded<T: Send + Sync + 'static> {
    answer: RwSignal<Option<Result<T, Error>>>,
    asked: RwSignal<u32>,
}

impl<T: Send + Sync + 'static> Clone for Loaded<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Loaded<T> {}

impl<T: Clone + Send + Sync + 'static> Loaded<T> {
    /// Asks now, whenever a signal that `ask` reads changes, and when asked again. What was there stays until the answer.
    pub(crate) fn new<F: Future<Output = Result<T, Error>> + 'static>(ask: impl Fn() -> F + 'static) -> Self {
        let loaded = Self { answer: RwSignal::new(None), asked: RwSignal::new(0) };
        let person = person();
        Effect::new(move || {
            let number = loaded.asked.get();
            let question = ask();
            spawn_local(async move {
                let answer = question.await;
                // A later question is under way, or the page is gone.
                if loaded.asked.try_get_untracked() != Some(number) {
                    return;
                }
                // Signed out elsewhere, or the time is over: the guard shows the way in.
                if matches!(answer, Err(Error::Refused { status: 401, .. })) {
                    person.ask();
                }
                loaded.answer.set(Some(answer));
            });
        });
        loaded
    }

    /// Asks again.
    pub(crate) fn again(self) {
        let _ = self.asked.try_update(|it| *it += 1);
    }

    /// The answer, once it was a good one.
    pub(crate) fn get(self) -> Option<T> {
        self.answer.with(|it| it.as_ref()?.as_ref().ok().cloned())
    }

    /// Shows the answer; a line while there is none, a sentence when it failed.
    pub(crate) fn show(self, view: impl Fn(T) -> AnyView + Send + Sync + 'static) -> AnyView {
        let words = words();
        let show = move || {
            self.answer.with(|it| match it {
                None => view! { <p class="mt-8 text-muted" role="status">{words.get().loading}</p> }.into_any(),
                Some(Ok(value)) => view(value.clone()),
                Some(Err(error)) => {
                    let (title, text) = explain(error, words);
                    view! {
                        <div class="mt-8 max-w-xl">
                            <Sentence title=title text=text>
                                <button class=BUTTON_MAIN on:click=move |_| self.again()>{words.get().retry}</button>
                            </Sentence>
                        </div>
                    }
                    .into_any()
                }
            })
        };
        show.into_any()
    }
}

/// What a button set off: whether it is under way, and what went wrong.
#[derive(Clone, Copy)]
pub(crate) struct Doing {
    /// Whether it is under way.
    pub(crate) busy: RwSignal<bool>,
    /// Why it failed.
    pub(crate) error: RwSignal<Option<Error>>,
}

impl Doing {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { busy: RwSignal::new(false), error: RwSignal::new(None) }
    }

    /// Does it, and `then` with what it gave.
    pub(crate) fn run<T: 'static>(
        self,
        what: impl Future<Output = Result<T, Error>> + 'static,
        then: impl FnOnce(T) + 'static,
    ) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        self.error.set(None);
        spawn_local(async move {
            let answer = what.await;
            let _ = self.busy.try_set(false);
            match answer {
                Ok(value) => then(value),
                Err(error) => drop(self.error.try_set(Some(error))),
            }
        });
    }

    /// What went wrong, as an alert.
    pub(crate) fn alert(self) -> AnyView {
        let words = words();
        let said = move || {
            self.error.get().map(|it| {
                let (title, text) = explain(&it, words);
                view! { <p class="mt-2 text-sm font-medium text-bad" role="alert">{words.marks().labelled(title, text)}</p> }
            })
        };
        said.into_any()
    }
}
