//! The page as those who listen to it get it: Chromium's accessibility tree as text, compared with a stored one.
//!
//! `DRYDOCK_RENEW_SNAPSHOTS=1` writes what is there now; `git diff tests/browser/snapshots` shows what changed.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use super::Browser;

/// Set, it makes the tests write snapshots and compare nothing.
const RENEW: &str = "DRYDOCK_RENEW_SNAPSHOTS";
/// States that listeners are told.
const STATES: [&str; 7] = ["checked", "disabled", "expanded", "level", "modal", "pressed", "selected"];
/// Roles whose name says all: what is inside is drawn only.
const WHOLE: [&str; 7] = ["button", "checkbox", "image", "menuitem", "option", "radio", "tab"];
/// What the random ends of names are made of.
const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";
/// What stands between words, in either script.
const BETWEEN: [char; 5] = [' ', ',', '/', '，', '：'];
/// Beginnings of names whose things come in any order: where Pods stand in the picture is chance.
const UNORDERED: [&str; 2] = ["Picture of your cluster", "叢集架構圖"];
/// Roles that only hold others.
const SILENT: [&str; 4] = ["none", "generic", "InlineTextBox", "LineBreak"];

impl Browser {
    /// Looks at a page as everybody gets it: the tree for those who listen, contrast in the light and in the dark, and a
    /// picture of both for people's eyes.
    ///
    /// # Errors
    /// When the tree is not the stored one, or axe has serious findings.
    pub async fn inspect(&self, page: &str) -> anyhow::Result<()> {
        self.matches_snapshot(page).await?;
        self.look(page).await
    }

    /// The same for pages whose text differs from day to day: contrast and pictures, no tree.
    ///
    /// # Errors
    /// When axe has serious findings.
    pub async fn look(&self, page: &str) -> anyhow::Result<()> {
        let theme = "document.documentElement.classList.toggle('dark', arguments[0]); return 0";
        for (dark, name) in [(false, "light"), (true, "dark")] {
            self.client.execute(theme, vec![json!(dark)]).await?;
            self.is_accessible(&format!("{page}, {name}")).await?;
            self.screenshot(&format!("{page}-{name}")).await?;
        }
        self.client.execute(theme, vec![json!(false)]).await?;
        Ok(())
    }

    /// Waits until the page's accessibility tree is the stored one.
    ///
    /// # Errors
    /// When it does not become that.
    pub async fn matches_snapshot(&self, page: &str) -> anyhow::Result<()> {
        let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots")).join(format!("{page}.txt"));
        // What a terminal shows is another test's business.
        let hide = "document.querySelectorAll('.xterm-rows').forEach(it => it.ariaHidden = 'true'); return 0";
        if std::env::var_os(RENEW).is_some() {
            self.client.execute(hide, Vec::new()).await?;
            std::fs::create_dir_all(file.parent().context("a file lies in a folder")?)?;
            return Ok(std::fs::write(&file, self.accessibility_tree().await?)?);
        }
        let expected =
            std::fs::read_to_string(&file).with_context(|| format!("{}: {RENEW}=1 writes it", file.display()))?;
        self.patiently(async || {
            self.client.execute(hide, Vec::new()).await?;
            let seen = self.accessibility_tree().await?;
            let other = || {
                let differences = differences(&expected, &seen);
                format!("{page} is not as in {} ({RENEW}=1 renews it):\n{differences}", file.display())
            };
            Ok(if seen == expected { Ok(()) } else { Err(other()) })
        })
        .await
    }

    async fn accessibility_tree(&self) -> anyhow::Result<String> {
        let answer = self.devtools("Accessibility.getFullAXTree", &json!({})).await?;
        Ok(tree(answer["nodes"].as_array().context("the browser gives nodes")?))
    }
}

/// The nodes as text: a line each, indented, with role, name and states.
fn tree(nodes: &[Value]) -> String {
    let mut out = String::new();
    if let Some(root) = nodes.first() {
        write_node(nodes, root, 0, "", &mut out);
    }
    out
}

fn write_node(nodes: &[Value], node: &Value, depth: usize, above: &str, out: &mut String) {
    let role = node["role"]["value"].as_str().unwrap_or_default();
    let name = node["name"]["value"].as_str().unwrap_or_default().trim();
    // A text that is its parent's name is told once.
    let is_told = role == "StaticText" && (name.is_empty() || above.contains(name));
    let is_silent = node["ignored"] == true || SILENT.contains(&role) || is_told;
    let (below, told) = if is_silent { (depth, above) } else { (depth + 1, name) };
    if !is_silent {
        let _ = write!(out, "{}{role}", "  ".repeat(depth));
        if !name.is_empty() {
            let _ = write!(out, " {:?}", steady(name));
        }
        for property in node["properties"].as_array().into_iter().flatten() {
            let (name, value) = (property["name"].as_str().unwrap_or_default(), &property["value"]["value"]);
            if STATES.contains(&name) && *value != json!(false) && *value != json!("false") {
                let _ = write!(out, " {name}={}", value.to_string().trim_matches('"'));
            }
        }
        out.push('\n');
    }
    if WHOLE.contains(&role) && !name.is_empty() {
        return;
    }
    let mut children = Vec::new();
    for child in node["childIds"].as_array().into_iter().flatten() {
        if let Some(child) = nodes.iter().find(|it| it["nodeId"] == *child) {
            let mut text = String::new();
            write_node(nodes, child, below, told, &mut text);
            children.push(text);
        }
    }
    if UNORDERED.iter().any(|it| name.starts_with(it)) {
        let mut lines: Vec<_> = children.iter().flat_map(|it| it.lines()).map(|it| format!("{it}\n")).collect();
        lines.sort();
        children = lines;
    }
    out.extend(children);
}

/// A name without what differs from run to run: each number is an `N`, each random end of a Pod's name `…`.
fn steady(name: &str) -> String {
    let mut out = String::new();
    for word in name.split_inclusive(BETWEEN) {
        let is_random = |part: &str| matches!(part.len(), 5 | 8..=10) && part.chars().all(|it| RANDOM.contains(it));
        let (bare, end) = word.split_at(word.trim_end_matches(BETWEEN).len());
        let parts = bare.split('-').enumerate();
        let parts = parts.map(|(at, part)| if at > 0 && is_random(part) { "…".to_owned() } else { counted(part) });
        out.push_str(&parts.collect::<Vec<_>>().join("-"));
        out.push_str(end);
    }
    out
}

/// Each number as an `N`: also 12.5, 10.96.0.1, 59:58.
fn counted(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|it: char| !it.is_ascii_digit() && !matches!(it, '.' | ':')).unwrap_or(rest.len());
        if first.is_ascii_digit() {
            out.push('N');
            rest = &rest[end..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// The lines that only one of the two has.
fn differences(expected: &str, seen: &str) -> String {
    let only = |mark: char, these: &str, those: &str| -> String {
        let those: Vec<_> = those.lines().collect();
        these.lines().filter(|it| !those.contains(it)).map(|it| format!("{mark} {it}\n")).collect()
    };
    let lines = only('-', expected, seen) + &only('+', seen, expected);
    if lines.is_empty() { format!("the same lines in another order:\n{seen}") } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(steady(name), expected);
    }

    #[test]
    fn what_differs_from_run_to_run_is_left_out() {
        check("59:58 left", "N left");
        check("10.96.0.12:80 · 30080", "N · N");
        check("3 個節點就緒", "N 個節點就緒");
        check("worker-1", "worker-N");
        check("Pod web-56c7456648-w6wvg, running", "Pod web-…-…, running");
        check("Pod web-56c7456648-w6wvg，就緒", "Pod web-…-…，就緒");
        check("nothing", "nothing");
    }

    #[test]
    fn what_only_holds_others_is_not_told() {
        let node = |id: &str, role: &str, name: &str, children: &[&str]| {
            json!({"nodeId": id, "ignored": false, "role": {"value": role}, "name": {"value": name}, "childIds": children,
                "properties": [{"name": "disabled", "value": {"value": role == "button"}}]})
        };
        let nodes = [
            node("1", "RootWebArea", "Page", &["2"]),
            node("2", "generic", "", &["3", "5"]),
            node("3", "button", "Run", &["4"]),
            node("4", "StaticText", "Run", &[]),
            node("5", "StaticText", "12 MB", &[]),
        ];
        assert_eq!(tree(&nodes), "RootWebArea \"Page\"\n  button \"Run\" disabled=true\n  StaticText \"N MB\"\n");
    }
}
