// The seam between the app (Rust) and CodeMirror: text in, text out, problems at their lines, keys.

class Handle {
  constructor(cm, view) {
    this.cm = cm;
    this.view = view;
  }
  text() {
    return this.view.state.doc.toString();
  }
  setText(text) {
    const { state } = this.view;
    if (state.doc.toString() !== text) this.view.dispatch({ changes: { from: 0, to: state.doc.length, insert: text } });
  }
  focus() {
    this.view.focus();
  }
  // Lines and sentences, in two lists of the same length.
  problems(lines, messages) {
    const { doc } = this.view.state;
    const found = Array.from(lines, (number, index) => {
      const line = doc.line(Math.min(Math.max(number, 1), doc.lines));
      const from = line.from + line.text.search(/\S|$/);
      return { from, to: line.to, severity: "error", message: messages[index] };
    });
    found.sort((a, b) => a.from - b.from);
    this.view.dispatch(this.cm.setDiagnostics(this.view.state, found));
  }
  goTo(number) {
    const { doc } = this.view.state;
    const line = doc.line(Math.min(Math.max(number, 1), doc.lines));
    this.view.dispatch({ selection: { anchor: line.to }, effects: this.cm.EditorView.scrollIntoView(line.from, { y: "center" }) });
    this.view.focus();
  }
  dispose() {
    this.view.destroy();
  }
}

// The pane is dark in both themes, as the terminals are.
function look({ EditorView, HighlightStyle, syntaxHighlighting, tags }) {
  const theme = EditorView.theme(
    {
      "&": { height: "100%", color: "var(--term-fg)", backgroundColor: "var(--term-bg)", fontSize: "13px" },
      "&.cm-focused": { outline: "none" },
      ".cm-scroller": { fontFamily: "var(--font-mono)", lineHeight: "1.5" },
      ".cm-content": { caretColor: "var(--term-accent)", paddingBlock: "6px" },
      ".cm-cursor": { borderLeftColor: "var(--term-accent)", borderLeftWidth: "2px" },
      "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--term-selection)" },
      ".cm-gutters": { backgroundColor: "var(--term-bg)", color: "var(--term-muted)", border: "none" },
      ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "rgb(255 255 255 / 0.04)" },
      ".cm-matchingBracket": { backgroundColor: "rgb(53 182 203 / 0.25)", outline: "none" },
      ".cm-panels": { backgroundColor: "var(--term-bar)", color: "var(--term-fg)" },
      ".cm-tooltip": { backgroundColor: "var(--term-bar)", color: "var(--term-fg)", border: "1px solid var(--term-selection)", borderRadius: "8px", maxWidth: "36rem" },
      ".cm-diagnostic": { padding: "6px 10px" },
      ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--term-red)", textUnderlineOffset: "3px" },
    },
    { dark: true },
  );
  const colours = HighlightStyle.define([
    { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--term-cyan)" },
    { tag: [tags.string, tags.attributeValue, tags.special(tags.string)], color: "var(--term-green)" },
    { tag: [tags.number, tags.bool, tags.null], color: "var(--term-yellow)" },
    { tag: [tags.comment, tags.lineComment], color: "var(--term-muted)", fontStyle: "italic" },
    { tag: [tags.keyword, tags.typeName, tags.labelName, tags.meta], color: "var(--term-magenta)" },
    { tag: [tags.punctuation, tags.separator], color: "var(--term-muted)" },
  ]);
  return [theme, syntaxHighlighting(colours)];
}

export async function createEditor(element, label, text, onChange, onCommand) {
  const cm = await import("drydock-codemirror");
  const { EditorState, EditorView, keymap, basicSetup, indentUnit, indentWithTab, lintGutter, yaml } = cm;
  const command = (name) => () => {
    onCommand(name);
    return true;
  };
  const view = new EditorView({
    parent: element,
    state: EditorState.create({
      doc: text,
      extensions: [
        keymap.of([{ key: "Mod-s", run: command("save"), preventDefault: true }, { key: "Mod-Enter", run: command("apply") }, indentWithTab]),
        basicSetup,
        yaml(),
        indentUnit.of("  "),
        lintGutter(),
        look(cm),
        EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false" }),
        EditorView.updateListener.of((update) => update.docChanged && onChange()),
      ],
    }),
  });
  return new Handle(cm, view);
}
