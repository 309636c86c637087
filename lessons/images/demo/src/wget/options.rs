//! The command line, as BusyBox takes it: short options may be joined, long ones take `=` or the next word.

use std::time::Duration;

/// What to fetch and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) urls: Vec<String>,
    pub(super) quiet: bool,
    pub(super) spider: bool,
    pub(super) server_response: bool,
    pub(super) output: Option<String>,
    pub(super) directory: Option<String>,
    pub(super) timeout: Duration,
    pub(super) headers: Vec<String>,
    pub(super) post_data: Option<String>,
    pub(super) user_agent: String,
}

const USAGE: &str = "Usage: wget [-qS] [--spider] [-O FILE] [--header STR] [--post-data STR | --post-file FILE]\n\
    \t[-P DIR] [-U AGENT] [-T SEC] URL...\n\nRetrieve files via HTTP\n\n\
    \t--spider\tOnly check URL existence: $? is 0 if exists\n\
    \t--header STR\tAdd STR (of form 'header: value') to headers\n\
    \t--post-data STR\tSend STR using POST method\n\
    \t--post-file FILE\tSend FILE using POST method\n\
    \t-P DIR\t\tSave to DIR (default .)\n\
    \t-S    \t\tShow server response\n\
    \t-T SEC\t\tNetwork read timeout is SEC seconds\n\
    \t-O FILE\t\tSave to FILE ('-' for stdout)\n\
    \t-U STR\t\tUse STR for User-Agent header\n\
    \t-q\t\tQuiet";

impl Options {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// What to say to a person who got it wrong.
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self {
            urls: Vec::new(),
            quiet: false,
            spider: false,
            server_response: false,
            output: None,
            directory: None,
            timeout: super::PATIENCE,
            headers: Vec::new(),
            post_data: None,
            user_agent: "Wget".to_owned(),
        };
        let mut words = words.iter().cloned();
        let mut only_urls = false;
        while let Some(word) = words.next() {
            if only_urls || word == "-" || !word.starts_with('-') {
                options.urls.push(word);
            } else if word == "--" {
                only_urls = true;
            } else if let Some(long) = word.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let letter = LONG.iter().find(|(long, _)| *long == name).map(|(_, letter)| *letter);
                let letter = letter.ok_or_else(|| format!("wget: unrecognized option '--{name}'\n{USAGE}"))?;
                let value = if takes_value(letter) { value.or_else(|| words.next()) } else { None };
                options.set(letter, value)?;
            } else {
                let mut rest = word[1..].chars();
                while let Some(letter) = rest.next() {
                    let value = if takes_value(letter) {
                        let joined = rest.as_str().to_owned();
                        rest = "".chars();
                        Some(joined).filter(|joined| !joined.is_empty()).or_else(|| words.next())
                    } else {
                        None
                    };
                    options.set(letter, value)?;
                }
            }
        }
        if options.urls.is_empty() { Err(USAGE.to_owned()) } else { Ok(options) }
    }

    fn set(&mut self, letter: char, value: Option<String>) -> Result<(), String> {
        if takes_value(letter) && value.is_none() {
            return Err(format!("wget: option requires an argument -- '{letter}'\n{USAGE}"));
        }
        let value = value.unwrap_or_default();
        match letter {
            'q' => self.quiet = true,
            'S' => self.server_response = true,
            's' => self.spider = true,
            'O' => self.output = Some(value),
            'P' => self.directory = Some(value),
            'U' => self.user_agent = value,
            'H' => self.headers.push(value),
            'D' => self.post_data = Some(value),
            'F' => {
                let text = std::fs::read_to_string(&value).map_err(|error| format!("wget: {value}: {error}"))?;
                self.post_data = Some(text);
            }
            'T' => {
                let seconds: u64 = value.parse().map_err(|_| format!("wget: invalid number '{value}'"))?;
                self.timeout = Duration::from_secs(seconds.max(1));
            }
            // No proxies, no second tries, nothing to resume, no certificates: accepted, for they ask for nothing else.
            'Y' | 't' | 'c' | 'N' => {}
            other => return Err(format!("wget: invalid option -- '{other}'\n{USAGE}")),
        }
        Ok(())
    }
}

const LONG: [(&str, char); 14] = [
    ("quiet", 'q'),
    ("server-response", 'S'),
    ("spider", 's'),
    ("output-document", 'O'),
    ("directory-prefix", 'P'),
    ("user-agent", 'U'),
    ("header", 'H'),
    ("post-data", 'D'),
    ("post-file", 'F'),
    ("timeout", 'T'),
    ("proxy", 'Y'),
    ("tries", 't'),
    ("continue", 'c'),
    ("no-check-certificate", 'N'),
];

fn takes_value(letter: char) -> bool {
    matches!(letter, 'O' | 'P' | 'U' | 'H' | 'D' | 'F' | 'T' | 'Y' | 't')
}
