//! The recurring looks of the app, composed with tailwind-rs: spacing and display are typed, states are variants.
//!
//! Colours are the names of `style.css` (`surface`, `ink`, `line`, `accent` …), which hold in both themes.

use tailwind_rs_core::ClassBuilder;
use tailwind_rs_core::utilities::layout::display::{Display, DisplayUtilities};
use tailwind_rs_core::utilities::spacing::{GapUtilities, PaddingUtilities, SpacingValue};

/// Name, documentation and classes of every look.
pub(crate) fn all() -> Vec<(&'static str, &'static str, ClassBuilder)> {
    vec![
        ("BUTTON", "A button of second rank.", quiet_button()),
        ("BUTTON_MAIN", "The one main button of a view.", main_button()),
        ("BUTTON_DANGER", "A button that ends or discards something.", danger_button()),
        ("ICON_BUTTON", "A square button that holds one icon.", icon_button()),
        ("LINK", "A link, or a button that reads as one.", link()),
        ("PILL", "A small rounded statement in the header.", pill()),
        ("CARD", "A bordered surface.", card()),
        ("CODE", "A block of code with its buttons.", code()),
        ("TAB", "A tab of the terminal.", tab()),
        ("BAR_BUTTON", "An icon in the bar above the terminals.", bar_button()),
        ("MENU_ITEM", "An entry of a menu.", menu_item()),
        ("DIALOG", "A dialog, but for its width.", dialog()),
        ("OVERLAY", "A small panel above the picture.", overlay()),
    ]
}

fn n(value: u32) -> SpacingValue {
    SpacingValue::Integer(value)
}

fn half(value: f32) -> SpacingValue {
    SpacingValue::Fractional(value)
}

fn words(builder: ClassBuilder, text: &str) -> ClassBuilder {
    builder.classes(text.split_whitespace().map(str::to_owned))
}

fn button() -> ClassBuilder {
    let base =
        ClassBuilder::new().display(Display::InlineFlex).gap(half(1.5)).padding_x(half(3.5)).padding_y(half(1.5));
    words(base, "items-center justify-center rounded-lg border text-sm font-semibold whitespace-nowrap cursor-pointer transition-colors")
        .custom_variant("disabled", "opacity-50")
        .custom_variant("disabled", "cursor-default")
}

fn quiet_button() -> ClassBuilder {
    words(button(), "border-line bg-surface text-ink")
        .custom_variant("hover", "border-line-strong")
        .custom_variant("hover", "bg-sunken")
}

fn main_button() -> ClassBuilder {
    words(button(), "border-accent bg-accent text-on-accent")
        .custom_variant("hover", "bg-accent-strong")
        .custom_variant("hover", "border-accent-strong")
}

fn danger_button() -> ClassBuilder {
    words(button(), "border-bad bg-surface text-bad").custom_variant("hover", "bg-bad-soft")
}

fn icon_button() -> ClassBuilder {
    let base = ClassBuilder::new().display(Display::InlineFlex).padding(half(1.5));
    words(base, "items-center justify-center rounded-lg text-muted cursor-pointer transition-colors")
        .custom_variant("hover", "text-ink")
        .custom_variant("hover", "bg-sunken")
        .custom_variant("disabled", "opacity-50")
}

fn link() -> ClassBuilder {
    words(ClassBuilder::new(), "text-accent-ink font-medium cursor-pointer underline-offset-4 rounded-sm")
        .custom_variant("hover", "underline")
}

fn pill() -> ClassBuilder {
    let base = ClassBuilder::new().display(Display::InlineFlex).gap(n(2)).padding_x(n(3)).padding_y(n(1));
    words(base, "items-center rounded-full border border-line text-sm whitespace-nowrap h-8")
}

fn card() -> ClassBuilder {
    words(ClassBuilder::new().padding(n(5)), "rounded-xl border border-line bg-surface")
}

fn code() -> ClassBuilder {
    let base = ClassBuilder::new()
        .display(Display::Flex)
        .gap_x(n(2))
        .padding_left(n(3))
        .padding_right(n(1))
        .padding_y(half(0.5));
    words(base, "items-center rounded-lg border border-line bg-sunken font-mono text-[13px] leading-5 my-2")
}

fn tab() -> ClassBuilder {
    let base = ClassBuilder::new().display(Display::InlineFlex).gap(n(2)).padding_x(n(3)).padding_y(half(1.5));
    words(base, "items-center rounded-t-lg text-[13px] font-medium whitespace-nowrap cursor-pointer text-term-muted")
        .custom_variant("hover", "text-term-ink")
        .custom_variant("aria-selected", "bg-term")
        .custom_variant("aria-selected", "text-term-ink")
}

fn bar_button() -> ClassBuilder {
    let base = ClassBuilder::new().display(Display::InlineFlex).padding(half(1.5));
    words(base, "items-center rounded-md cursor-pointer text-term-muted").custom_variant("hover", "text-term-ink")
}

fn menu_item() -> ClassBuilder {
    let base = ClassBuilder::new().display(Display::Flex).padding_x(n(3)).padding_y(half(1.5));
    words(base, "w-full items-center rounded-md text-start cursor-pointer")
        .custom_variant("hover", "bg-sunken")
        .custom_variant("focus", "bg-sunken")
}

fn dialog() -> ClassBuilder {
    let base = ClassBuilder::new().padding(n(6));
    words(base, "m-auto max-w-[calc(100vw-2rem)] rounded-xl border border-line-strong bg-surface text-ink")
}

fn overlay() -> ClassBuilder {
    words(ClassBuilder::new().padding(n(4)), "rounded-xl border border-line-strong bg-surface text-sm")
}
