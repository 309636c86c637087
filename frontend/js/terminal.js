// The seam between the app (Rust) and xterm.js: bytes in, bytes out, size, colours, copy and paste.

const encoder = new TextEncoder();

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--term-${name}`).trim();
  const theme = { background: of("bg"), foreground: of("fg"), cursor: of("accent"), cursorAccent: of("bg"), selectionBackground: of("selection") };
  for (const name of ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"]) {
    theme[name] = of(name);
    theme[`bright${name[0].toUpperCase()}${name.slice(1)}`] = of(`bright-${name}`) || of(name);
  }
  return theme;
}

// Clipboard access needs a secure context; on plain http the old command still works.
export function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).catch(() => copyByCommand(text));
  copyByCommand(text);
  return Promise.resolve();
}

function copyByCommand(text) {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  focused?.focus?.();
}

// What a terminal answers by itself when a program asks it something.
const ANSWER = /^\x1b(\[[?>=]?[\d;]*[cnRyt]|\[[IO]|[P\]][^\x07\x1b]*(\x07|\x1b\\))$/;
// The sequence by which the workstation's `download` offers a file: ESC ] 5522 ; download ; path BEL.
const OFFER = 5522;
// The page tells the server what it has shown each time this much more is on the screen.
const TELL = 65536;

class Handle {
  constructor(terminal, fit, observer, onSeen) {
    this.terminal = terminal;
    this.fitAddon = fit;
    this.observer = observer;
    this.onSeen = onSeen;
    this.count = { seen: 0, told: 0 };
    this.replaying = false;
    this.isFixed = false;
  }
  // A new socket: what the server kept comes first and replaces what is on the screen.
  begin() {
    this.count = { seen: 0, told: 0 };
    this.replaying = true;
    this.terminal.write("\x1bc");
  }
  write(bytes) {
    const { count } = this;
    this.terminal.write(bytes, () => {
      // Programs of long ago do not want their questions answered again.
      if (this.count === count) this.replaying = false;
      count.seen += bytes.length;
      if (this.count === count && count.seen - count.told >= TELL) {
        count.told = count.seen;
        this.onSeen(count.seen);
      }
    });
  }
  isAnswer(text) {
    // Where somebody looks on, the terminal that is looked at answers.
    return (this.replaying || this.isFixed) && ANSWER.test(text);
  }
  // Takes a size that is not this page's to choose; the letters become as large as the place allows.
  shape(cols, rows) {
    this.isFixed = true;
    this.terminal.resize(cols, rows);
    this.scale();
  }
  scale() {
    const box = this.terminal.element?.parentElement;
    const screen = this.terminal.element?.querySelector(".xterm-screen");
    if (!box?.clientWidth || !screen?.clientWidth) return;
    const share = Math.min(box.clientWidth / screen.clientWidth, box.clientHeight / screen.clientHeight);
    const size = Math.floor(this.terminal.options.fontSize * share * 0.98 * 2) / 2;
    this.terminal.options.fontSize = Math.max(6, Math.min(22, size));
  }
  notice(text) {
    this.terminal.write(`\r\n\x1b[2m${text}\x1b[0m\r\n`);
  }
  // As pasted: bracketed where the shell asks for it, so that nothing runs before Enter.
  paste(text) {
    this.terminal.paste(text);
  }
  focus() {
    this.terminal.focus();
  }
  fit() {
    if (this.isFixed) return this.scale();
    const box = this.terminal.element?.parentElement;
    if (box && box.clientWidth > 40 && box.clientHeight > 20) this.fitAddon.fit();
  }
  cols() {
    return this.terminal.cols;
  }
  rows() {
    return this.terminal.rows;
  }
  recolour() {
    this.terminal.options.theme = colours();
  }
  label(text) {
    this.terminal.textarea?.setAttribute("aria-label", text);
  }
  dispose() {
    this.observer.disconnect();
    this.terminal.dispose();
  }
}

export async function createTerminal(element, label, preview, ports, onInput, onResize, onSeen, onOffer) {
  const [{ Terminal, FitAddon, addLinks, Unicode11Addon }] = await Promise.all([import("drydock-xterm"), document.fonts.ready]);
  const terminal = new Terminal({
    allowProposedApi: true,
    cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--font-mono"),
    fontSize: 13,
    lineHeight: 1.25,
    scrollback: 5000,
    macOptionIsMeta: true,
    theme: colours(),
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  addLinks(terminal, preview, ports);
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  terminal.open(element);
  terminal.textarea?.setAttribute("aria-label", label);
  terminal.attachCustomKeyEventHandler((event) => {
    // F6 walks between the parts of the page; the terminal must not keep it.
    if (event.key === "F6") return false;
    const mac = /Mac|iP(hone|ad)/.test(navigator.platform);
    const command = mac ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.altKey;
    const key = event.key.toLowerCase();
    if (command && key === "c" && (terminal.hasSelection() || event.shiftKey)) {
      if (event.type === "keydown" && terminal.hasSelection()) {
        copyText(terminal.getSelection());
        terminal.clearSelection();
      }
      event.preventDefault();
      return false;
    }
    // The browser pastes into xterm's own field, which needs no permission.
    if (command && key === "v" && (event.shiftKey || mac)) return false;
    return true;
  });
  terminal.onData((text) => handle.isAnswer(text) || onInput(encoder.encode(text)));
  terminal.onBinary((text) => onInput(Uint8Array.from(text, (it) => it.charCodeAt(0))));
  terminal.onResize(({ cols, rows }) => onResize(cols, rows));
  terminal.parser.registerOscHandler(OFFER, (data) => {
    const [verb, ...path] = data.split(";");
    // What was offered before a reload is not offered again.
    if (verb === "download" && !handle.replaying) onOffer(path.join(";"));
    return true;
  });
  let pending = 0;
  const observer = new ResizeObserver(() => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => handle.fit());
  });
  const handle = new Handle(terminal, fit, observer, onSeen);
  observer.observe(element);
  handle.fit();
  return handle;
}
