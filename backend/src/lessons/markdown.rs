//! Markdown to clean HTML and code blocks.

use std::collections::BTreeSet;

use drydock_engine::native::WORKSTATION;
use drydock_protocol::{Block, path};
use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Renders a lesson's texts, and remembers which pictures they show.
pub(super) struct Renderer<'a> {
    slug: &'a str,
    /// File names of the pictures shown so far.
    pub(super) pictures: BTreeSet<String>,
    /// Pictures that cannot be shown: their addresses.
    pub(super) foreign: BTreeSet<String>,
}

impl<'a> Renderer<'a> {
    /// For the lesson `slug`.
    pub(super) fn new(slug: &'a str) -> Renderer<'a> {
        Renderer { slug, pictures: BTreeSet::new(), foreign: BTreeSet::new() }
    }

    /// Prose and code blocks, in order. Raw HTML and links that run scripts are left out.
    ///
    /// # Errors
    /// A sentence on a code block whose fence says what is not known.
    pub(super) fn blocks(&mut self, source: &str) -> Result<Vec<Block>, String> {
        let mut blocks = Vec::new();
        let mut prose: Vec<Event<'_>> = Vec::new();
        let mut code: Option<(String, String)> = None;
        let mut depth = 0_u32;
        for event in self.events(source) {
            match (event, &mut code) {
                // Inside a list or a quotation a block stays where it is.
                (Event::Start(Tag::CodeBlock(kind)), None) if depth == 0 => {
                    push_prose(&mut blocks, &mut prose);
                    let info = if let CodeBlockKind::Fenced(info) = kind { info.to_string() } else { String::new() };
                    code = Some((info, String::new()));
                }
                (Event::Text(text), Some((_, code))) => code.push_str(&text),
                (Event::End(TagEnd::CodeBlock), Some(_)) => {
                    let (info, text) = code.take().unwrap_or_default();
                    blocks.push(code_block(&info, &text)?);
                }
                (event, _) => {
                    match &event {
                        Event::Start(_) => depth += 1,
                        Event::End(_) => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    prose.push(event);
                }
            }
        }
        push_prose(&mut blocks, &mut prose);
        Ok(blocks)
    }

    /// The whole source as HTML.
    pub(super) fn html(&mut self, source: &str) -> String {
        let mut out = String::new();
        html::push_html(&mut out, self.events(source).into_iter());
        out
    }

    /// One line of text as HTML, without a paragraph around it.
    pub(super) fn line(&mut self, source: &str) -> String {
        let html = self.html(source);
        let text = html.trim();
        let inner = text.strip_prefix("<p>").and_then(|text| text.strip_suffix("</p>"));
        inner.filter(|inner| !inner.contains("<p>")).unwrap_or(text).to_owned()
    }

    fn events<'s>(&mut self, source: &'s str) -> Vec<Event<'s>> {
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        let mut events = Vec::new();
        for event in Parser::new_ext(source, options) {
            events.extend(match event {
                Event::Html(_) | Event::InlineHtml(_) => None,
                Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                    let dest_url = if is_safe(&dest_url) { dest_url } else { "#".into() };
                    Some(Event::Start(Tag::Link { link_type, dest_url, title, id }))
                }
                Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                    let dest_url = self.picture(&dest_url);
                    Some(Event::Start(Tag::Image { link_type, dest_url, title, id }))
                }
                event => Some(event),
            });
        }
        events
    }

    fn picture(&mut self, address: &str) -> CowStr<'static> {
        if is_picture(address) {
            self.pictures.insert(address.to_owned());
            path::lesson_file(self.slug, address).into()
        } else {
            self.foreign.insert(address.to_owned());
            "#".into()
        }
    }
}

/// Whether a name is that of a picture in the lesson's folder.
pub(super) fn is_picture(name: &str) -> bool {
    is_plain(name) && (name.ends_with(".svg") || name.ends_with(".png"))
}

/// Whether a name is that of a file, not of a place elsewhere.
pub(super) fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn code_block(info: &str, text: &str) -> Result<Block, String> {
    let mut words = info.split_whitespace();
    let language = words.next().map(str::to_owned);
    let (mut file, mut run_on) = (None, None);
    if language.as_deref() == Some("sh") {
        run_on = Some(WORKSTATION.to_owned());
    }
    for word in words {
        match word.split_once('=') {
            None if word == "copy" => run_on = None,
            Some(("on", node)) => run_on = Some(node.to_owned()),
            Some(("file", name)) if is_plain(name) => {
                file = Some(name.to_owned());
                run_on = None;
            }
            Some(("file", name)) => return Err(format!("{name:?} cannot be a file's name in the home folder")),
            _ => return Err(format!("a code block does not know {word:?}; there is copy, on=NODE and file=NAME")),
        }
    }
    Ok(Block::Code { code: text.trim_end_matches('\n').to_owned(), language, run_on, file })
}

fn push_prose(blocks: &mut Vec<Block>, prose: &mut Vec<Event<'_>>) {
    let mut out = String::new();
    html::push_html(&mut out, prose.drain(..));
    if !out.trim().is_empty() {
        blocks.push(Block::Prose { html: out });
    }
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
        let out = Renderer::new("x").html(
            "<script>alert(1)</script> a <b onclick=x>b</b> [l](javascript:alert(1)) ![i](data:text/html,x) ![j](https://a.example/b.svg)",
        );
        for active in ["<script", "onclick", "javascript:", "data:", "a.example"] {
            assert!(!out.contains(active), "{out}");
        }
    }

    #[test]
    fn code_is_data() {
        let source = "one\n\n```yaml\na: 1\n```\n\n```sh on=worker-1\nps\n```\n\n```sh copy\nrm x\n```\n\n```yaml file=a.yaml\nb: 1\n```\n\n- in a list\n\n  ```sh\n  ls\n  ```\n";
        let found = Renderer::new("x").blocks(source).expect("blocks");
        let runs: Vec<_> = found
            .iter()
            .filter_map(|block| match block {
                Block::Code { run_on, file, .. } => Some((run_on.as_deref(), file.as_deref())),
                Block::Prose { .. } => None,
            })
            .collect();
        assert_eq!(runs, [(None, None), (Some("worker-1"), None), (None, None), (None, Some("a.yaml"))]);
        assert!(matches!(found.last(), Some(Block::Prose { html }) if html.contains("<pre>")), "{found:?}");
    }

    #[test]
    fn fences_say_only_what_is_known() {
        for (source, part) in [
            ("```sh run\nx\n```\n", "does not know \"run\""),
            ("```yaml file=../x\nx\n```\n", "cannot be a file's name"),
        ] {
            let message = Renderer::new("x").blocks(source).expect_err("refused");
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn pictures_come_from_the_lessons_folder() {
        let mut renderer = Renderer::new("pods");
        let out = renderer.html("![Two Pods](two.svg) ![x](../up.svg)");
        assert!(out.contains(r#"src="/api/v1/lessons/pods/files/two.svg" alt="Two Pods""#), "{out}");
        assert_eq!(renderer.pictures.iter().collect::<Vec<_>>(), ["two.svg"]);
        assert_eq!(renderer.foreign.iter().collect::<Vec<_>>(), ["../up.svg"]);
    }

    #[test]
    fn a_line_has_no_paragraph() {
        assert_eq!(Renderer::new("x").line("the `selector`"), "the <code>selector</code>");
    }
}
