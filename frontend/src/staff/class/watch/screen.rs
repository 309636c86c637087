//! The screen of somebody else's terminal: xterm.js in front, a WebSocket behind, joined again after every break.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use drydock_protocol::class::WatchControl;
use drydock_protocol::path;
use gloo::events::EventListener;
use js_sys::{ArrayBuffer, Uint8Array};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use web_sys::{HtmlElement, MessageEvent, WebSocket};

use super::super::live::class_live;
use crate::settings::{settings, words};
use crate::staff::api;
use crate::staff::words::staff_words;

#[wasm_bindgen(module = "/js/terminal.js")]
extern "C" {
    type Handle;

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

    #[wasm_bindgen(method)]
    fn write(this: &Handle, bytes: &Uint8Array);
    #[wasm_bindgen(method)]
    fn notice(this: &Handle, text: &str);
    #[wasm_bindgen(method)]
    fn begin(this: &Handle);
    #[wasm_bindgen(method)]
    fn focus(this: &Handle);
    #[wasm_bindgen(method)]
    fn shape(this: &Handle, cols: u16, rows: u16);
    #[wasm_bindgen(method)]
    fn recolour(this: &Handle);
    #[wasm_bindgen(method)]
    fn dispose(this: &Handle);
}

/// Called with the bytes that the person typed.
type OnInput = Closure<dyn FnMut(Uint8Array)>;

/// Called with columns and rows.
type OnResize = Closure<dyn FnMut(u16, u16)>;

/// Called with the bytes that are on the screen.
type OnSeen = Closure<dyn FnMut(f64)>;

/// Called with the path of a file that the shell offers.
type OnOffer = Closure<dyn FnMut(String)>;

/// Node on which a learner's terminals are.
const WORKSTATION: &str = "workstation";

/// Whose terminal it is.
#[derive(Clone)]
struct Seat {
    class: String,
    learner: u32,
    session: String,
}

/// What is on the page.
struct Watch {
    seat: Seat,
    handle: Handle,
    socket: Option<WebSocket>,
    listeners: Vec<EventListener>,
    /// Callbacks of xterm.js, which live as long as it does.
    _seams: (OnInput, OnResize, OnSeen, OnOffer),
    /// Whether something is shown.
    shows: RwSignal<bool>,
    may_type: bool,
    attempt: u32,
    ended: bool,
}

type Shared = Rc<RefCell<Option<Watch>>>;

/// The screen.
#[component]
pub(super) fn Screen(
    /// The learner.
    id: u32,
    /// Whether what is typed counts; the server has the last word.
    may_type: Signal<bool>,
) -> impl IntoView {
    let (words, texts) = (words(), staff_words());
    let settings = settings();
    let live = class_live();
    let session = live.roster.with_untracked(|it| it.get(&id).and_then(|it| it.session.clone())).unwrap_or_default();
    let seat = Seat { class: live.id.get_value(), learner: id, session };
    let place = NodeRef::<html::Div>::new();
    let failed = RwSignal::new(false);
    let shows = RwSignal::new(false);
    let shared: StoredValue<Shared, LocalStorage> = StoredValue::new_local(Rc::default());
    Effect::new(move |begun: Option<bool>| {
        let Some(element) = place.get() else { return false };
        if begun != Some(true) {
            let (watch, seat) = (shared.get_value(), seat.clone());
            spawn_local(async move {
                if open(&watch, &element, seat, texts.now().watch_label, shows).await.is_err() {
                    let _ = failed.try_set(true);
                } else if shared.is_disposed() {
                    close(&watch);
                }
            });
        }
        true
    });
    Effect::new(move || {
        settings.dark.track();
        with(&shared.get_value(), |it| it.handle.recolour());
    });
    Effect::new(move || {
        if may_type.get() {
            with(&shared.get_value(), |it| it.handle.focus());
        }
    });
    on_cleanup(move || {
        if let Some(watch) = shared.try_get_value() {
            close(&watch);
        }
    });
    view! {
        <div class="dark relative h-full overflow-hidden bg-term text-ink">
            <div node_ref=place class="h-full" class:invisible=move || !shows.get()></div>
            <p class="absolute inset-0 grid place-items-center p-6 text-center text-term-muted empty:hidden" role="status">
                {move || if failed.get() { Some(words.get().term_failed) } else { (!shows.get()).then(|| texts.get().watch_none) }}
            </p>
        </div>
    }
}

fn with(watch: &Shared, act: impl FnOnce(&mut Watch)) {
    if let Ok(mut guard) = watch.try_borrow_mut()
        && let Some(watch) = guard.as_mut()
    {
        act(watch);
    }
}

fn close(watch: &Shared) {
    if let Some(mut watch) = watch.borrow_mut().take() {
        watch.hang_up();
        watch.handle.dispose();
    }
}

async fn open(
    shared: &Shared,
    element: &HtmlElement,
    seat: Seat,
    label: &str,
    shows: RwSignal<bool>,
) -> Result<(), JsValue> {
    let typed = shared.clone();
    let on_input = Closure::new(move |bytes: Uint8Array| with(&typed, |it| it.send(&bytes)));
    let on_resize = Closure::new(|_, _| {});
    let on_seen = Closure::new(|_| {});
    // A file is offered to the learner, not to who looks on.
    let on_offer = Closure::new(|_| {});
    // Addresses in the output open as previews of the learner's session, where the server lets the instructor in.
    let preview = path::preview_of(&seat.session, WORKSTATION);
    let ports = path::session_verb(&seat.session, "ports");
    let handle = create_terminal(element, label, &preview, &ports, &on_input, &on_resize, &on_seen, &on_offer).await?;
    let handle: Handle = handle.unchecked_into();
    *shared.borrow_mut() = Some(Watch {
        seat,
        handle,
        socket: None,
        listeners: Vec::new(),
        _seams: (on_input, on_resize, on_seen, on_offer),
        shows,
        may_type: false,
        attempt: 0,
        ended: false,
    });
    connect(shared);
    Ok(())
}

fn connect(shared: &Shared) {
    let Ok(mut guard) = shared.try_borrow_mut() else { return };
    let Some(watch) = guard.as_mut() else { return };
    watch.hang_up();
    let Ok(socket) = api::watch(&watch.seat.class, watch.seat.learner) else { return };
    let spoken = shared.clone();
    let on_message = EventListener::new(&socket, "message", move |event| {
        let data = event.unchecked_ref::<MessageEvent>().data();
        if let Some(buffer) = data.dyn_ref::<ArrayBuffer>() {
            with(&spoken, |it| it.handle.write(&Uint8Array::new(buffer)));
        } else if let Some(Ok(control)) = data.as_string().map(|it| serde_json::from_str(&it)) {
            with(&spoken, |it| it.take(control));
        }
    });
    let closed = shared.clone();
    let on_close = EventListener::new(&socket, "close", move |_| {
        let mut wait = None;
        with(&closed, |it| {
            it.may_type = false;
            if !it.ended {
                wait = Some(Duration::from_millis(250 << it.attempt.min(5)));
                it.attempt += 1;
            }
        });
        if let Some(wait) = wait {
            let again = closed.clone();
            set_timeout(move || connect(&again), wait);
        }
    });
    watch.listeners = vec![on_message, on_close];
    watch.socket = Some(socket);
}

impl Watch {
    fn send(&self, bytes: &Uint8Array) {
        let open = self.socket.as_ref().filter(|it| it.ready_state() == WebSocket::OPEN && self.may_type);
        if let Some(socket) = open {
            let _ = socket.send_with_js_u8_array(bytes);
        }
    }

    fn take(&mut self, control: WatchControl) {
        self.attempt = 0;
        match control {
            WatchControl::Shows { cols, rows, .. } => {
                self.handle.begin();
                self.handle.shape(cols, rows);
                let _ = self.shows.try_set(true);
            }
            WatchControl::Joint { may_type } => self.may_type = may_type,
            WatchControl::Waiting => drop(self.shows.try_set(false)),
            WatchControl::Error { message } => {
                self.ended = true;
                let _ = self.shows.try_set(true);
                self.handle.notice(&message);
            }
        }
    }

    fn hang_up(&mut self) {
        self.listeners.clear();
        if let Some(socket) = self.socket.take() {
            let _ = socket.close();
        }
    }
}
