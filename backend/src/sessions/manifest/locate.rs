//! From what kubectl says to the lines of the text that it speaks of. Pure.

use drydock_protocol::ManifestProblem;

/// One document of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// Its first line in the text, from 1.
    pub(super) first_line: usize,
    /// Its text.
    pub(super) text: &'a str,
}

/// The documents that hold anything, split where kubectl splits: at lines that begin with `---`. A text that holds nothing
/// is one document, so that kubectl says so itself.
pub(super) fn documents(text: &str) -> Vec<Document<'_>> {
    let mut found = Vec::new();
    let (mut begin, mut first_line, mut at) = (0, 1, 0);
    let mut take = |begin: usize, end: usize, first_line: usize| {
        let text = &text[begin..end];
        if content(text, first_line).next().is_some() {
            found.push(Document { first_line, text });
        }
    };
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.starts_with("---") {
            take(begin, at, first_line);
            (begin, first_line) = (at + line.len(), number + 2);
        }
        at += line.len();
    }
    take(begin, text.len(), first_line);
    if found.is_empty() {
        found.push(Document { first_line: 1, text });
    }
    found
}

/// kubectl's words with the file's own name for those of its documents.
pub(super) fn renamed(said: &str, folder: &str, name: &str) -> String {
    let mut out = String::with_capacity(said.len());
    let mut rest = said;
    let prefix = format!("{folder}/");
    while let Some((before, tail)) = rest.split_once(&prefix) {
        let end = tail.find(".yaml").map_or(0, |end| end + ".yaml".len());
        out.push_str(before);
        out.push_str(name);
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

/// What kubectl complains of, by line.
pub(super) fn problems(documents: &[Document<'_>], folder: &str, name: &str, said: &str) -> Vec<ManifestProblem> {
    let mut found: Vec<ManifestProblem> = Vec::new();
    // The document that bullets below a sentence are about.
    let mut spoken_of = None;
    for line in said.lines() {
        let bullet = line.strip_prefix("* ");
        let sentence = bullet.unwrap_or(line).trim_end();
        let named = named_file(sentence, folder).and_then(|number| documents.get(number.checked_sub(1)?));
        let document = named.or_else(|| named_object(documents, sentence));
        let complains = named.is_some()
            || ["error", "Error", "Unable"].iter().any(|begin| sentence.starts_with(begin))
            || (sentence.starts_with("The ") && sentence.contains(" is invalid:"));
        let document = match (complains, bullet, document, spoken_of) {
            (true, _, document, _) => document.or(documents.first()),
            (false, Some(_), _, Some(document)) => Some(document),
            _ => None,
        };
        let Some(document) = document else { continue };
        spoken_of = Some(document);
        if sentence.ends_with(" is invalid:") {
            continue;
        }
        for line in lines(document, sentence) {
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            found.push(ManifestProblem { line, message: renamed(sentence, folder, name) });
        }
    }
    found.dedup();
    found
}

/// `…/2.yaml` in kubectl's words: document 2.
fn named_file(sentence: &str, folder: &str) -> Option<usize> {
    let (_, tail) = sentence.split_once(&format!("{folder}/"))?;
    tail.split_once(".yaml")?.0.parse().ok()
}

/// `The Deployment "web" is invalid`: the document of that kind and name.
fn named_object<'a, 'b>(documents: &'a [Document<'b>], sentence: &str) -> Option<&'a Document<'b>> {
    let (kind, tail) = sentence.strip_prefix("The ")?.split_once(" \"")?;
    let name = tail.split_once('"')?.0;
    let value = |document: &Document<'_>, path: &str| {
        let line = line_of(document, path)?.0;
        let text = document.text.lines().nth(line - document.first_line)?;
        Some(text.split_once(':')?.1.split('#').next()?.trim().trim_matches(['"', '\'']).to_owned())
    };
    documents.iter().find(|document| {
        value(document, "kind").as_deref() == Some(kind) && value(document, "metadata.name").as_deref() == Some(name)
    })
}

/// The lines that a sentence is about: those it names, those of the fields it names, else the document's first.
fn lines(document: &Document<'_>, sentence: &str) -> Vec<usize> {
    let last = document.first_line + document.text.lines().count().max(1) - 1;
    if let Some(number) = sentence.split_once("yaml: line ").and_then(|(_, tail)| leading_number(tail)) {
        return vec![number.clamp(document.first_line, last)];
    }
    let mut found: Vec<usize> = fields(sentence).iter().filter_map(|path| Some(line_of(document, path)?.0)).collect();
    if found.is_empty() {
        let path = if sentence.contains("no matches for kind") {
            "kind"
        } else if sentence.contains("namespaces \"") && sentence.contains("not found") {
            "metadata.namespace"
        } else {
            ""
        };
        let first = || content(document.text, document.first_line).next().map(|line| line.number);
        found.extend(line_of(document, path).map(|(line, _)| line).or_else(first).or(Some(document.first_line)));
    }
    found.dedup();
    found
}

fn leading_number(text: &str) -> Option<usize> {
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// Paths of fields in the server's words.
fn fields(sentence: &str) -> Vec<String> {
    let mut found = Vec::new();
    for begin in ["unknown field \"", "duplicate field \"", "already set in map \""] {
        let fields = sentence.split(begin).skip(1).filter_map(|tail| tail.split('"').next());
        found.extend(fields.map(str::to_owned));
    }
    // `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`
    if let Some((_, tail)) = sentence.split_once("Go struct field ")
        && let Some((_, path)) = tail.split(' ').next().and_then(|path| path.split_once('.'))
    {
        found.push(path.to_owned());
    }
    for reason in [
        ": Required value",
        ": Invalid value",
        ": Unsupported value",
        ": Forbidden",
        ": Duplicate value",
        ": Too long",
        ": Too many",
        ": Not found",
        ": Internal error",
    ] {
        // Several stand in brackets: `[a.b: Required value, c.d: Invalid value: 1: must be …]`.
        let parts: Vec<&str> = sentence.split(reason).collect();
        for before in &parts[..parts.len() - 1] {
            let path = before.rsplit([' ', '[']).next().unwrap_or_default();
            let whole = before.rsplit(' ').next().unwrap_or_default().trim_start_matches('[');
            found.push(if whole.contains(']') { whole } else { path }.to_owned());
        }
    }
    found
}

/// A line that holds something.
#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    indent: usize,
    text: &'a str,
}

fn content(text: &str, first_line: usize) -> impl Iterator<Item = Line<'_>> {
    text.lines().enumerate().filter_map(move |(number, line)| {
        let text = line.trim_start_matches(' ');
        let empty = text.trim().is_empty() || text.starts_with('#') || text.starts_with("---");
        (!empty).then_some(Line { number: first_line + number, indent: line.len() - text.len(), text })
    })
}

/// The line of a field such as `spec.containers[0].image`, or of the deepest part of the way that is there, and whether
/// all of it was.
fn line_of(document: &Document<'_>, path: &str) -> Option<(usize, bool)> {
    let mut within: Vec<Line<'_>> = content(document.text, document.first_line).collect();
    let mut found = None;
    for step in steps(path) {
        let next = match &step {
            Step::Key(key) => under_key(&within, key),
            Step::Index(index) => under_item(&within, *index),
        };
        let Some((line, inner)) = next else { return found.map(|line| (line, false)) };
        found = Some(line);
        within = inner;
    }
    found.map(|line| (line, true))
}

enum Step {
    Key(String),
    Index(usize),
}

/// `spec.containers[0].env[1].name`, `metadata.labels[app/x.y]` in steps.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some((inside, tail)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            steps.push(inside.parse().map_or_else(|_| Step::Key(inside.trim_matches('"').to_owned()), Step::Index));
            rest = tail.strip_prefix('.').unwrap_or(tail);
            continue;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len()).max(1);
        steps.push(Step::Key(rest[..end].to_owned()));
        rest = rest[end..].strip_prefix('.').unwrap_or(&rest[end..]);
    }
    steps
}

/// The line of a key and what is below it.
fn under_key<'a>(within: &[Line<'a>], key: &str) -> Option<(usize, Vec<Line<'a>>)> {
    let indent = within.first()?.indent;
    let is_key = |line: &Line<'_>| {
        let name = line.text.split(':').next().unwrap_or_default().trim_end();
        line.indent == indent && line.text.contains(':') && name.trim_matches(['"', '\'']) == key
    };
    let at = within.iter().position(is_key)?;
    // A list may stand as far to the left as its key.
    let inner = |line: &&Line<'_>| line.indent > indent || (line.indent == indent && line.text.starts_with('-'));
    Some((within[at].number, within[at + 1..].iter().take_while(inner).copied().collect()))
}

/// The line of a list's item and the item.
fn under_item<'a>(within: &[Line<'a>], index: usize) -> Option<(usize, Vec<Line<'a>>)> {
    let indent = within.first()?.indent;
    let begins = |line: &Line<'_>| line.indent == indent && line.text.starts_with('-');
    let starts: Vec<usize> = (0..within.len()).filter(|at| begins(&within[*at])).collect();
    let (at, end) = (*starts.get(index)?, starts.get(index + 1).copied().unwrap_or(within.len()));
    let mut item = within[at..end].to_vec();
    let number = item[0].number;
    let text = item[0].text[1..].trim_start_matches(' ');
    if text.trim().is_empty() {
        item.remove(0);
    } else {
        item[0] = Line { number, indent: indent + item[0].text.len() - text.len(), text };
    }
    Some((number, item))
}

#[cfg(test)]
mod tests;
