//! One terminal: xterm.js in front, a WebSocket behind, re-attached to the same shell after every break.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use drydock_protocol::TerminalControl;
use gloo::events::EventListener;
use js_sys::{ArrayBuffer, Uint8Array};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;
use web_sys::{HtmlElement, MessageEvent, WebSocket};

use crate::api;
use crate::settings::{settings, words};
use crate::xterm::{Handle, Seams, screen};

/// Which terminal of which session, on which node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Session.
    pub(crate) session: String,
    /// Terminal; the same one gives the same shell.
    pub(crate) terminal: String,
    /// Node on which the shell runs.
    pub(crate) node: String,
}

/// What the page asks of a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Type this text and Enter.
    Run(String),
    /// Take the keyboard.
    Focus,
}

/// A terminal that is on the page.
struct Shell {
    address: Address,
    handle: Handle,
    socket: Option<WebSocket>,
    /// What listens to the present socket.
    listeners: Vec<EventListener>,
    /// Callbacks of xterm.js, which live as long as it does.
    _seams: Seams,
    /// What is to be typed once the shell answers.
    waiting: Vec<String>,
    open: bool,
    attempt: u32,
    ended: bool,
    gone: bool,
}

type Shared = Rc<RefCell<Option<Shell>>>;

/// The terminal.
#[component]
pub(crate) fn Terminal(
    /// Which.
    address: Address,
    /// Whether it is the one on show.
    #[prop(into)]
    active: Signal<bool>,
    /// What the page asks of terminals, by their names; taken when done.
    orders: RwSignal<Vec<(String, Order)>>,
    /// Told of each file that a program in the shell offers to the browser.
    offered: Callback<String>,
) -> impl IntoView {
    let words = words();
    let settings = settings();
    let place = NodeRef::<html::Div>::new();
    let failed = RwSignal::new(false);
    let ready = RwSignal::new(false);
    let shared: StoredValue<Shared, LocalStorage> = StoredValue::new_local(Rc::default());
    let begun = StoredValue::new(false);
    let mine = StoredValue::new(address.terminal.clone());
    // Another network: no need to wait until the next attempt is due.
    let online = {
        let shell = shared.get_value();
        EventListener::new(&window(), "online", move |_| {
            let mut is_lost = false;
            with(&shell, |it| is_lost = !it.open && !it.ended);
            if is_lost {
                connect(&shell);
            }
        })
    };
    let online = StoredValue::new_local(Some(online));

    Effect::new(move || {
        let Some(element) = place.get() else { return };
        // xterm.js measures its place, so it is made when it shows for the first time.
        if !active.get() || begun.get_value() {
            return;
        }
        begun.set_value(true);
        let shell = shared.get_value();
        let address = address.clone();
        spawn_local(async move {
            if open(&shell, &element, address, words.now().terminal_label, offered).await.is_err() {
                let _ = failed.try_set(true);
            } else {
                let _ = ready.try_set(true);
            }
        });
    });
    Effect::new(move || {
        settings.dark.track();
        with(&shared.get_value(), |it| it.handle.recolour());
    });
    Effect::new(move || {
        let name = words.get().terminal_label;
        with(&shared.get_value(), |it| it.handle.label(name));
    });
    Effect::new(move || {
        if active.get() && ready.get() {
            let shell = shared.get_value();
            request_animation_frame(move || {
                with(&shell, |it| {
                    it.handle.fit();
                    // The keyboard goes to the terminal where it would go nowhere else.
                    if document().active_element().is_none_or(|it| it.tag_name() == "BODY") {
                        it.handle.focus();
                    }
                })
            });
        }
    });
    Effect::new(move || {
        let is_mine = |id: &str| mine.with_value(|mine| mine == id);
        if !ready.get() || !orders.with(|it| it.iter().any(|(id, _)| is_mine(id))) {
            return;
        }
        let all = orders.try_update(std::mem::take).unwrap_or_default();
        let (now, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|(id, _)| is_mine(id));
        if !later.is_empty() {
            orders.set(later);
        }
        for (_, order) in now {
            with(&shared.get_value(), |it| it.obey(order));
        }
    });
    on_cleanup(move || {
        drop(online.try_update_value(Option::take));
        if let Some(mut shell) = shared.try_get_value().and_then(|it| it.borrow_mut().take()) {
            shell.gone = true;
            shell.hang_up();
            shell.handle.dispose();
        }
    });
    view! {
        <div class="h-full min-h-0 px-3 pt-2 pb-1">
            <div node_ref=place class="h-full"></div>
            <Show when=move || failed.get()>
                <p class="p-2 text-sm text-term-muted" role="alert">{move || words.get().term_failed}</p>
            </Show>
        </div>
    }
}

fn with(shell: &Shared, act: impl FnOnce(&mut Shell)) {
    if let Ok(mut guard) = shell.try_borrow_mut()
        && let Some(shell) = guard.as_mut()
    {
        act(shell);
    }
}

async fn open(
    shared: &Shared,
    element: &HtmlElement,
    address: Address,
    label: &str,
    offered: Callback<String>,
) -> Result<(), JsValue> {
    let input_shell = shared.clone();
    let input = Closure::new(move |bytes: Uint8Array| typed(&input_shell, &bytes));
    let size_shell = shared.clone();
    let resize = Closure::new(move |cols, rows| {
        // xterm.js also calls from within calls of ours; those sizes are sent when the socket opens.
        with(&size_shell, |it| it.tell(&TerminalControl::Resize { cols, rows }));
    });
    let seen_shell = shared.clone();
    let seen = Closure::new(move |bytes: f64| {
        with(&seen_shell, |it| it.tell(&TerminalControl::Seen { bytes: bytes as u64 }));
    });
    let offer = Closure::new(move |path: String| {
        let _ = offered.try_run(path);
    });
    let seams = Seams { input, resize, seen, offer };
    let handle = screen(element, label, (&address.session, &address.node), &seams).await?;
    *shared.borrow_mut() = Some(Shell {
        address,
        handle,
        socket: None,
        listeners: Vec::new(),
        _seams: seams,
        waiting: Vec::new(),
        open: false,
        attempt: 0,
        ended: false,
        gone: false,
    });
    connect(shared);
    Ok(())
}

/// Opens a socket to the shell; the server starts one where none runs.
fn connect(shared: &Shared) {
    let Ok(mut guard) = shared.try_borrow_mut() else { return };
    let Some(shell) = guard.as_mut().filter(|it| !it.gone) else { return };
    shell.hang_up();
    shell.ended = false;
    let address = &shell.address;
    let Ok(socket) =
        api::terminal(&address.session, &address.terminal, &address.node, shell.handle.cols(), shell.handle.rows())
    else {
        return;
    };

    let opened = shared.clone();
    let on_open = EventListener::new(&socket, "open", move |_| {
        with(&opened, |it| {
            it.handle.begin();
            it.open = true;
            it.attempt = 0;
            it.tell(&TerminalControl::Seen { bytes: 0 });
            it.tell(&TerminalControl::Resize { cols: it.handle.cols(), rows: it.handle.rows() });
        });
    });
    let spoken = shared.clone();
    let on_message = EventListener::new(&socket, "message", move |event| {
        let data = event.unchecked_ref::<MessageEvent>().data();
        if let Some(buffer) = data.dyn_ref::<ArrayBuffer>() {
            with(&spoken, |it| {
                it.handle.write(&Uint8Array::new(buffer));
                // The prompt is there: what was asked for meanwhile can be typed.
                it.type_waiting();
            });
        } else if let Some(Ok(control)) = data.as_string().map(|it| serde_json::from_str(&it)) {
            with(&spoken, |it| it.take(control));
        }
    });
    let closed = shared.clone();
    let on_close = EventListener::new(&socket, "close", move |_| {
        let mut wait = None;
        with(&closed, |it| {
            if it.open && !it.ended && !it.gone {
                it.handle.notice(crate::text::texts(language()).term_lost);
            }
            it.open = false;
            if !it.ended && !it.gone {
                wait = Some(Duration::from_millis(250 << it.attempt.min(5)));
                it.attempt += 1;
            }
        });
        if let Some(wait) = wait {
            let again = closed.clone();
            set_timeout(move || connect(&again), wait);
        }
    });
    shell.listeners = vec![on_open, on_message, on_close];
    shell.socket = Some(socket);
}

/// What the person typed: to the shell, or to start a new one after its end.
fn typed(shared: &Shared, bytes: &Uint8Array) {
    let mut restart = false;
    with(shared, |it| {
        if it.ended {
            restart = bytes.to_vec().contains(&b'\r');
        } else {
            it.send(bytes);
        }
    });
    if restart {
        connect(shared);
    }
}

/// The language of the page, read where no view is at hand.
fn language() -> drydock_protocol::Language {
    let tag = document().document_element().and_then(|it| it.get_attribute("lang")).unwrap_or_default();
    drydock_protocol::Language::from_tag(&tag).unwrap_or_default()
}

impl Shell {
    fn send(&self, bytes: &Uint8Array) {
        if let Some(socket) = self.socket.as_ref().filter(|it| it.ready_state() == WebSocket::OPEN) {
            let _ = socket.send_with_js_u8_array(bytes);
        }
    }

    fn tell(&self, control: &TerminalControl) {
        if let Some(socket) = self.socket.as_ref().filter(|it| it.ready_state() == WebSocket::OPEN)
            && let Ok(text) = serde_json::to_string(control)
        {
            let _ = socket.send_with_str(&text);
        }
    }

    fn take(&mut self, control: TerminalControl) {
        match control {
            TerminalControl::Exit { .. } => {
                self.ended = true;
                self.handle.notice(crate::text::texts(language()).term_exit);
            }
            TerminalControl::Error { message } => {
                self.ended = true;
                self.handle.notice(&message);
                self.handle.notice(crate::text::texts(language()).term_exit);
            }
            TerminalControl::Resize { .. } | TerminalControl::Seen { .. } | TerminalControl::Close => {}
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Run(text) => {
                self.waiting.push(text);
                if self.open {
                    self.type_waiting();
                }
                self.handle.focus();
            }
            Order::Focus => self.handle.focus(),
        }
    }

    /// Types as a person would: the text, then Enter. Line breaks within become Enters too.
    fn type_waiting(&mut self) {
        for text in std::mem::take(&mut self.waiting) {
            let keys = format!("{}\r", text.trim_end().replace("\r\n", "\n").replace('\n', "\r"));
            self.send(&Uint8Array::from(keys.as_bytes()));
        }
    }

    fn hang_up(&mut self) {
        self.open = false;
        self.listeners.clear();
        if let Some(socket) = self.socket.take() {
            let _ = socket.close();
        }
    }
}
