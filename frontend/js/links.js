// Links of terminal output: what belongs to the session opens as a preview, all else as it is.
import { WebLinksAddon } from "@xterm/addon-web-links";

const OWN = /^https?:\/\/(localhost|master|worker-\d+|127(\.\d+){3}|10(\.\d+){3}|192\.168(\.\d+){2}|172\.(1[6-9]|2\d|3[01])(\.\d+){2})(:\d+)?([/?#]|$)/i;
// Addresses without a scheme, and names that may be an Ingress's.
const BARE = /(?<![\w./:@-])(?:(?:localhost|master|worker-\d+|127(?:\.\d+){3}|10(?:\.\d+){3}):\d{2,5}|[a-z\d-]+(?:\.[a-z\d-]+)+)(?![\w.:-]*\w)(?:\/[^\s"'`<>]*)?/g;
const AGAIN = 5000;

// `preview` is the address that a URL is put behind; `ports` tells what there is to open.
export function addLinks(terminal, preview, ports) {
  let hosts = [];
  let asked = 0;
  const ask = () => {
    if (Date.now() - asked < AGAIN) return;
    asked = Date.now();
    fetch(ports)
      .then((answer) => (answer.ok ? answer.json() : []))
      .then((list) => (hosts = list.filter((it) => it.kind === "Ingress").map((it) => new URL(it.address).hostname)))
      .catch(() => {});
  };
  const isHost = (name) => hosts.includes(name) || hosts.includes(name.replace(/^[^.]+/, "any"));
  const open = (url) => {
    const own = !/^https?:/i.test(url) || OWN.test(url) || isHost(new URL(url).hostname);
    window.open(own ? preview + encodeURIComponent(url) : url, "_blank", "noopener,noreferrer");
  };
  terminal.loadAddon(new WebLinksAddon((event, url) => open(url), { hover: ask }));
  terminal.registerLinkProvider({
    provideLinks(y, found) {
      const text = terminal.buffer.active.getLine(y - 1)?.translateToString(true) ?? "";
      const links = [...text.matchAll(BARE)].filter(([it]) => /:\d/.test(it) || (ask(), isHost(it.split("/")[0])));
      // The first cell is 1; wide characters before a link take two.
      const cell = (index) => [...text.slice(0, index)].reduce((sum, it) => sum + (it.codePointAt(0) > 0x2e7f ? 2 : 1), 0);
      found(links.map((it) => ({
        text: it[0],
        range: { start: { x: cell(it.index) + 1, y }, end: { x: cell(it.index + it[0].length), y } },
        activate: (event, url) => open(url),
      })));
    },
  });
}
