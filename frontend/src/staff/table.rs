//! Looks of tables.

use leptos::prelude::*;

/// A table.
pub(crate) const TABLE: &str = "w-full border-collapse text-sm";
/// A column's head.
pub(crate) const HEAD: &str =
    "border-b border-line px-4 py-2.5 text-start text-[13px] font-semibold whitespace-nowrap text-muted";
/// The head of a column of figures.
pub(crate) const HEAD_FIGURE: &str =
    "border-b border-line px-4 py-2.5 text-end text-[13px] font-semibold whitespace-nowrap text-muted";

/// A cell.
#[component]
pub(crate) fn Cell(
    /// Whether it matters less.
    #[prop(optional)]
    quiet: bool,
    /// Whether it holds a figure.
    #[prop(optional)]
    figure: bool,
    /// What is in it.
    children: Children,
) -> impl IntoView {
    let tone = if quiet { "text-muted whitespace-nowrap" } else { "" };
    let side = if figure { "text-end tabular-nums whitespace-nowrap" } else { "" };
    view! { <td class=format!("px-4 py-2.5 {tone} {side}")>{children()}</td> }
}
