//! Markdown to clean HTML and code blocks.

use drydock_protocol::Block;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd, html};

/// Prose and code blocks, in order. Raw HTML and links that run scripts are left out.
pub(super) fn blocks(source: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut prose: Vec<Event<'_>> = Vec::new();
    let mut code: Option<(String, String)> = None;
    for event in events(source) {
        match (event, &mut code) {
            (Event::Start(Tag::CodeBlock(kind)), None) => {
                push_prose(&mut blocks, &mut prose);
                let info = if let CodeBlockKind::Fenced(info) = kind { info.to_string() } else { String::new() };
                code = Some((info, String::new()));
            }
            (Event::Text(text), Some((_, code))) => code.push_str(&text),
            (Event::End(TagEnd::CodeBlock), Some(_)) => {
                let (info, text) = code.take().unwrap_or_default();
                blocks.push(code_block(&info, &text));
            }
            (event, _) => prose.push(event),
        }
    }
    push_prose(&mut blocks, &mut prose);
    blocks
}

/// The whole source as HTML.
pub(super) fn html(source: &str) -> String {
    let mut out = String::new();
    html::push_html(&mut out, events(source));
    out
}

fn code_block(info: &str, text: &str) -> Block {
    let mut words = info.split_whitespace();
    let language = words.next().map(str::to_owned);
    let is_shell = language.as_deref() == Some("sh");
    let run_on = match words.next() {
        Some("copy") => None,
        Some(word) => word.strip_prefix("on=").map(str::to_owned),
        None => is_shell.then(|| "workstation".to_owned()),
    };
    Block::Code { code: text.trim_end_matches('\n').to_owned(), language, run_on, file: None }
}

fn push_prose(blocks: &mut Vec<Block>, prose: &mut Vec<Event<'_>>) {
    let mut out = String::new();
    html::push_html(&mut out, prose.drain(..));
    if !out.trim().is_empty() {
        blocks.push(Block::Prose { html: out });
    }
}

fn events(source: &str) -> impl Iterator<Item = Event<'_>> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    Parser::new_ext(source, options).filter_map(|event| match event {
        Event::Html(_) | Event::InlineHtml(_) => None,
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = if is_safe(&dest_url) { dest_url } else { "#".into() };
            Some(Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            let dest_url = if is_safe(&dest_url) { dest_url } else { "#".into() };
            Some(Event::Start(Tag::Image { link_type, dest_url, title, id }))
        }
        event => Some(event),
    })
}

/// Web addresses and places on the page; nothing that a browser would run.
fn is_safe(address: &str) -> bool {
    ["https://", "http://", "/", "#"].iter().any(|start| address.starts_with(start)) && !address.starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_active_comes_through() {
        let out =
            html("<script>alert(1)</script> a <b onclick=x>b</b> [l](javascript:alert(1)) ![i](data:text/html,x)");
        for active in ["<script", "onclick", "javascript:", "data:"] {
            assert!(!out.contains(active), "{out}");
        }
    }

    #[test]
    fn code_is_data() {
        let found = blocks("one\n\n```yaml\na: 1\n```\n\n```sh on=worker-1\nps\n```\n\n```sh copy\nrm x\n```\n");
        let runs: Vec<_> = found
            .iter()
            .filter_map(|block| if let Block::Code { run_on, .. } = block { Some(run_on.as_deref()) } else { None })
            .collect();
        assert_eq!(runs, [None, Some("worker-1"), None]);
    }
}
