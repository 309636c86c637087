//! Labelled fields of forms.

use leptos::prelude::*;

/// Looks of what takes text.
pub(crate) const INPUT: &str = "w-full rounded-lg border border-line-strong bg-surface px-3 py-1.5 text-[15px] text-ink disabled:opacity-60 aria-invalid:border-bad";
/// Looks of a label above it.
pub(crate) const LABEL: &str = "text-sm font-semibold";

/// A line of text with its label, what it needs and what is wrong with it.
#[component]
pub(crate) fn Field(
    /// Unique on the page.
    id: &'static str,
    /// Label.
    #[prop(into)]
    label: Signal<&'static str>,
    /// What is in it.
    value: RwSignal<String>,
    /// `text`, `password`, `number`, …
    #[prop(default = "text")]
    kind: &'static str,
    /// What browsers may fill in.
    #[prop(default = "off")]
    complete: &'static str,
    /// The longest text.
    #[prop(default = 256)]
    most: usize,
    /// What it needs.
    #[prop(optional, into)]
    help: Signal<String>,
    /// What is wrong.
    #[prop(optional, into)]
    wrong: Signal<String>,
    /// Whether it has the keyboard when the page opens.
    #[prop(optional)]
    first: bool,
) -> impl IntoView {
    let field = NodeRef::<leptos::html::Input>::new();
    Effect::new(move || {
        if let Some(field) = field.get().filter(|_| first) {
            let _ = field.focus();
        }
    });
    let (help_id, wrong_id) = (format!("{id}-help"), format!("{id}-wrong"));
    let described = format!("{help_id} {wrong_id}");
    view! {
        <div class="flex flex-col gap-1">
            <label class=LABEL for=id>{label}</label>
            <input
                node_ref=field
                id=id
                name=id
                type=kind
                class=INPUT
                autocomplete=complete
                maxlength=most.to_string()
                required=true
                spellcheck="false"
                aria-describedby=described
                aria-invalid=move || wrong.with(|it| !it.is_empty()).then_some("true")
                prop:value=move || value.get()
                on:input=move |event| value.set(event_target_value(&event))
            />
            <p id=help_id class="text-[13px] text-muted empty:hidden">{help}</p>
            // A line is kept for it, so that nothing moves.
            <p id=wrong_id class="min-h-5 text-[13px] font-medium text-bad" role="alert">{wrong}</p>
        </div>
    }
}
