//! Reads k8s-pb's prost structs: tags, wire types and the comments that say how lists merge.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// A protobuf message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// The module, such as `api.core.v1`.
    pub(crate) module: String,
    /// The struct's name in Rust.
    pub(crate) name: String,
    /// Its comment.
    pub(crate) doc: Vec<String>,
    /// Its fields.
    pub(crate) fields: Vec<Member>,
}

/// A field of a [`Message`].
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The name in Rust.
    pub(crate) name: String,
    /// The tag.
    pub(crate) tag: u16,
    /// The attribute before the tag, such as `message, optional`.
    pub(crate) attribute: String,
    /// The type as written.
    pub(crate) rust_type: String,
    /// Its comment.
    pub(crate) doc: Vec<String>,
}

impl Member {
    /// The value of a `+marker=value` comment, every time it occurs.
    pub(crate) fn markers(&self, marker: &str) -> Vec<&str> {
        markers(&self.doc, marker)
    }

    /// The first value of a `+marker=value` comment.
    pub(crate) fn marker(&self, marker: &str) -> &str {
        self.markers(marker).first().copied().unwrap_or_default()
    }
}

/// Values of `+marker=value` comments.
pub(crate) fn markers<'a>(doc: &'a [String], marker: &str) -> Vec<&'a str> {
    doc.iter()
        .filter_map(|line| line.strip_prefix('+')?.strip_prefix(marker)?.strip_prefix('='))
        .map(str::trim)
        .collect()
}

/// Comment lines as one description, markers left out.
pub(crate) fn description(doc: &[String]) -> String {
    let mut out = String::new();
    for line in doc.iter().filter(|line| !line.starts_with('+')) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(line);
    }
    out.trim().to_owned()
}

/// Lower case letters and digits only: `cluster_i_ps` and `clusterIPs` agree.
pub(crate) fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Messages by `module.name`, normalised segment by segment.
pub(crate) type Messages = BTreeMap<String, Message>;

/// The key of a full name such as `io.k8s.api.core.v1.Pod` or `api.core.v1.Pod`.
pub(crate) fn key(name: &str) -> String {
    name.strip_prefix("io.k8s.").unwrap_or(name).split('.').map(normal).collect::<Vec<_>>().join(".")
}

/// Every message below `folder`.
pub(crate) fn read(folder: &Path) -> Result<Messages, Box<dyn Error>> {
    let mut messages = BTreeMap::new();
    visit(folder, "", &mut messages)?;
    Ok(messages)
}

fn visit(folder: &Path, module: &str, messages: &mut Messages) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            let inner = if module.is_empty() { name } else { format!("{module}.{name}") };
            visit(&path, &inner, messages)?;
        } else if name == "mod.rs" {
            for message in parse(&std::fs::read_to_string(&path)?, module) {
                messages.insert(key(&format!("{module}.{}", message.name)), message);
            }
        }
    }
    Ok(())
}

fn parse(text: &str, module: &str) -> Vec<Message> {
    let mut messages = Vec::new();
    let (mut doc, mut attribute) = (Vec::new(), None);
    let mut current: Option<Message> = None;
    let mut pending: Option<Member> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(member) = &mut pending {
            member.rust_type.push_str(trimmed);
        } else if let Some(comment) = trimmed.strip_prefix("///") {
            doc.push(comment.trim().to_owned());
            continue;
        } else if let Some(prost) = trimmed.strip_prefix("#[prost(") {
            attribute = prost_attribute(prost);
            continue;
        } else if trimmed.starts_with("#[") {
            continue;
        } else if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
            current = Some(Message {
                module: module.to_owned(),
                name: name.to_owned(),
                doc: std::mem::take(&mut doc),
                fields: Vec::new(),
            });
        } else if line == "}" {
            messages.extend(current.take());
        } else if let (Some(_), Some((attribute, tag)), Some(rest)) =
            (&current, attribute.take(), trimmed.strip_prefix("pub "))
        {
            let (name, rust_type) = rest.split_once(':').unwrap_or((rest, ""));
            let name = name.trim_start_matches("r#").to_owned();
            pending = Some(Member {
                name,
                tag,
                attribute,
                rust_type: rust_type.trim().to_owned(),
                doc: std::mem::take(&mut doc),
            });
        } else {
            doc.clear();
        }
        if pending.as_ref().is_some_and(|member| balanced(&member.rust_type))
            && let (Some(message), Some(member)) = (&mut current, pending.take())
        {
            message.fields.push(member);
        }
    }
    messages
}

/// The type is complete: brackets are closed and a comma follows.
fn balanced(rust_type: &str) -> bool {
    rust_type.ends_with(',') && rust_type.matches('<').count() == rust_type.matches('>').count()
}

/// `message, optional, tag = "2")]` as attribute and tag.
fn prost_attribute(text: &str) -> Option<(String, u16)> {
    let (attribute, rest) = text.split_once(", tag = \"")?;
    Some((attribute.to_owned(), rest.split('"').next()?.parse().ok()?))
}

/// The message that a member holds, found through `super` paths from the member's module.
pub(crate) fn target<'a>(messages: &'a Messages, module: &str, rust_type: &str) -> Option<&'a Message> {
    let inner = rust_type.trim_end_matches([',', '>', ' ']);
    let path = inner.rsplit(['<', ' ']).next()?;
    let mut segments: Vec<&str> = module.split('.').collect();
    let mut name = "";
    for part in path.split("::") {
        match part {
            "super" => {
                segments.pop();
            }
            "" | "crate" => {}
            part => {
                if !name.is_empty() {
                    segments.push(name);
                }
                name = part;
            }
        }
    }
    segments.push(name);
    messages.get(&key(&segments.join(".")))
}
