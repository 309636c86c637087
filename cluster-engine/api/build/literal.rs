//! Reads the JSON schemas that k8s-openapi writes as `json_schema!({...})` literals.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// A literal of the macro.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    /// Text.
    Str(String),
    /// A number, a boolean or another bare word.
    Word(String),
    /// `[...]`
    List(Vec<Literal>),
    /// `{...}`
    Map(Vec<(String, Literal)>),
    /// `subschema_for::<path>()`, with the description it is given.
    Ref { name: String, description: String },
}

impl Literal {
    /// A member of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// A member that is text.
    pub(crate) fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Self::Str(text)) => text,
            _ => "",
        }
    }
}

/// One type of the API.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Its JSON schema.
    pub(crate) schema: Literal,
    /// Group, version and kind.
    pub(crate) gvk: Option<(String, String, String)>,
    /// The kind of its lists.
    pub(crate) list_kind: Option<String>,
}

/// Every type below `folder`, by full name.
pub(crate) fn read(folder: &Path) -> Result<BTreeMap<String, Definition>, Box<dyn Error>> {
    let mut definitions = BTreeMap::new();
    visit(folder, &mut definitions)?;
    Ok(definitions)
}

fn visit(folder: &Path, definitions: &mut BTreeMap<String, Definition>) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            visit(&path, definitions)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path)?;
            if let Some((name, definition)) = definition(&text).map_err(|e| format!("{}: {e}", path.display()))? {
                definitions.insert(name, definition);
            }
        }
    }
    Ok(())
}

fn definition(text: &str) -> Result<Option<(String, Definition)>, String> {
    let Some(start) = text.find("fn schema_name()") else { return Ok(None) };
    let Some(name) = between(&text[start..], "\"", "\"") else { return Ok(None) };
    if !name.starts_with("io.k8s.") {
        return Ok(None);
    }
    let marker = "json_schema!(";
    let literal = text[start..].find(marker).ok_or("no json_schema! literal")? + start + marker.len();
    let schema = Parser { text: text.as_bytes(), at: literal }.value()?;
    let constant = |key: &str| between(text, &format!("const {key}: &'static str = \""), "\"").map(str::to_owned);
    let gvk = match (constant("GROUP"), constant("VERSION"), constant("KIND")) {
        (Some(group), Some(version), Some(kind)) => Some((group, version, kind)),
        _ => None,
    };
    Ok(Some((name.to_owned(), Definition { schema, gvk, list_kind: constant("LIST_KIND") })))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let from = text.find(start)? + start.len();
    let len = text[from..].find(end)?;
    Some(&text[from..from + len])
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> u8 {
        self.space();
        self.text.get(self.at).copied().unwrap_or_default()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        let found = self.text[self.at..].starts_with(token.as_bytes());
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(format!("`{token}` expected at byte {}", self.at)) }
    }

    fn value(&mut self) -> Result<Literal, String> {
        match self.peek() {
            b'"' => Ok(Literal::Str(self.string()?)),
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                while !self.eat("]") {
                    items.push(self.value()?);
                    self.eat(",");
                }
                Ok(Literal::List(items))
            }
            b'{' => {
                self.at += 1;
                let mut entries = Vec::new();
                while !self.eat("}") {
                    let key = self.string()?;
                    self.expect(":")?;
                    entries.push((key, self.value()?));
                    self.eat(",");
                }
                Ok(Literal::Map(entries))
            }
            b'(' => {
                self.at += 1;
                let value = if self.eat("{") { self.described()? } else { self.value()? };
                self.expect(")")?;
                Ok(value)
            }
            b'_' => Ok(Literal::Ref { name: self.reference()?, description: String::new() }),
            _ => {
                let start = self.at;
                while self
                    .text
                    .get(self.at)
                    .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_'))
                {
                    self.at += 1;
                }
                if self.at == start {
                    return Err(format!("a value expected at byte {start}"));
                }
                Ok(Literal::Word(String::from_utf8_lossy(&self.text[start..self.at]).into_owned()))
            }
        }
    }

    /// `{ let mut schema_obj = <ref>; schema_obj.ensure_object().insert("description".into(), "...".into()); schema_obj }`
    fn described(&mut self) -> Result<Literal, String> {
        self.expect("let mut schema_obj =")?;
        let name = self.reference()?;
        self.expect(";")?;
        self.expect("schema_obj.ensure_object().insert(\"description\".into(),")?;
        let description = self.string()?;
        self.expect(".into());")?;
        self.expect("schema_obj")?;
        self.expect("}")?;
        Ok(Literal::Ref { name, description })
    }

    /// `__gen.subschema_for::<crate::api::core::v1::Pod>()` as `io.k8s.api.core.v1.Pod`.
    fn reference(&mut self) -> Result<String, String> {
        self.expect("__gen.subschema_for::<crate::")?;
        let start = self.at;
        while self.text.get(self.at).is_some_and(|c| *c != b'>') {
            self.at += 1;
        }
        let path = String::from_utf8_lossy(&self.text[start..self.at]).replace("::", ".");
        self.expect(">()")?;
        let (first, rest) = path.split_once('.').ok_or("a path expected")?;
        Ok(format!("io.k8s.{}.{rest}", first.replace('_', "-")))
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut out = Vec::new();
        loop {
            let c = *self.text.get(self.at).ok_or("unterminated string")?;
            self.at += 1;
            match c {
                b'"' => return String::from_utf8(out).map_err(|e| e.to_string()),
                b'\\' => {
                    let escape = *self.text.get(self.at).ok_or("unterminated escape")?;
                    self.at += 1;
                    match escape {
                        b'n' => out.push(b'\n'),
                        b't' => out.push(b'\t'),
                        b'r' => out.push(b'\r'),
                        b'0' => out.push(0),
                        b'u' => {
                            self.expect("{")?;
                            let start = self.at;
                            while self.text.get(self.at).is_some_and(|c| *c != b'}') {
                                self.at += 1;
                            }
                            let hex = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
                            self.expect("}")?;
                            let c = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32).ok_or("bad escape")?;
                            out.extend_from_slice(c.to_string().as_bytes());
                        }
                        other => out.push(other),
                    }
                }
                c => out.push(c),
            }
        }
    }
}
