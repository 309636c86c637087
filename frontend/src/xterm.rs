//! xterm.js as `js/terminal.js` wraps it: the screen of every terminal.

use drydock_protocol::path;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use web_sys::HtmlElement;

#[wasm_bindgen(module = "/js/terminal.js")]
extern "C" {
    /// A screen that is on the page.
    pub(crate) type Handle;

    #[wasm_bindgen(js_name = createTerminal, catch)]
    async fn create_terminal(
        element: &HtmlElement,
        label: &str,
        preview: &str,
        ports: &str,
        on_input: &OnInput,
        on_resize: &OnResize,
        on_seen: &OnSeen,
        on_offer: &OnOffer,
    ) -> Result<JsValue, JsValue>;

    /// Shows what a shell wrote.
    #[wasm_bindgen(method)]
    pub(crate) fn write(this: &Handle, bytes: &Uint8Array);
    /// Shows a line of the page's own.
    #[wasm_bindgen(method)]
    pub(crate) fn notice(this: &Handle, text: &str);
    /// Empties the screen for what is written from now on.
    #[wasm_bindgen(method)]
    pub(crate) fn begin(this: &Handle);
    /// Types a text as if pasted.
    #[wasm_bindgen(method)]
    pub(crate) fn paste(this: &Handle, text: &str);
    /// Takes the keyboard.
    #[wasm_bindgen(method)]
    pub(crate) fn focus(this: &Handle);
    /// Takes the size of its place.
    #[wasm_bindgen(method)]
    pub(crate) fn fit(this: &Handle);
    /// Takes the size of another screen, as large as its place allows.
    #[wasm_bindgen(method)]
    pub(crate) fn shape(this: &Handle, cols: u16, rows: u16);
    /// Its width in characters.
    #[wasm_bindgen(method)]
    pub(crate) fn cols(this: &Handle) -> u16;
    /// Its height in characters.
    #[wasm_bindgen(method)]
    pub(crate) fn rows(this: &Handle) -> u16;
    /// Takes over the page's colours.
    #[wasm_bindgen(method)]
    pub(crate) fn recolour(this: &Handle);
    /// Takes another name for screen readers.
    #[wasm_bindgen(method)]
    pub(crate) fn label(this: &Handle, text: &str);
    /// Goes.
    #[wasm_bindgen(method)]
    pub(crate) fn dispose(this: &Handle);
}

/// Called with the bytes that the person typed.
pub(crate) type OnInput = Closure<dyn FnMut(Uint8Array)>;

/// Called with columns and rows.
pub(crate) type OnResize = Closure<dyn FnMut(u16, u16)>;

/// Called with the bytes that are on the screen.
pub(crate) type OnSeen = Closure<dyn FnMut(f64)>;

/// Called with the path of a file that a program in the shell offers to the browser.
pub(crate) type OnOffer = Closure<dyn FnMut(String)>;

/// What xterm.js calls; kept as long as the screen.
pub(crate) struct Seams {
    pub(crate) input: OnInput,
    pub(crate) resize: OnResize,
    pub(crate) seen: OnSeen,
    pub(crate) offer: OnOffer,
}

/// Puts a screen on the page; addresses in its output open as previews of what runs on `node` of `session`.
///
/// # Errors
/// When xterm.js cannot be loaded.
pub(crate) async fn screen(
    element: &HtmlElement,
    label: &str,
    (session, node): (&str, &str),
    seams: &Seams,
) -> Result<Handle, JsValue> {
    let (preview, ports) = (path::preview_of(session, node), path::session_verb(session, "ports"));
    let Seams { input, resize, seen, offer } = seams;
    let handle = create_terminal(element, label, &preview, &ports, input, resize, seen, offer).await?;
    Ok(handle.unchecked_into())
}
