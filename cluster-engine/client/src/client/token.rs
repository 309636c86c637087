//! Bearer tokens: fixed, from a file that changes, or set by whoever renews them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

/// How long a token file is believed before looking whether it changed. client-go looks each minute;
/// looking is one stat.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Where a client takes its bearer token from, request by request.
#[derive(Clone, Debug, Default)]
pub enum TokenSource {
    /// No token is sent.
    #[default]
    None,
    /// Always the same.
    Fixed(Arc<str>),
    /// A file, read again when it changes.
    File(Arc<FileToken>),
    /// A cell that its owner fills and renews; empty means that no token is sent.
    Shared(Arc<RwLock<Arc<str>>>),
}

/// A token file and what was last read from it.
#[derive(Debug)]
pub struct FileToken {
    path: PathBuf,
    look_again: Duration,
    last: Mutex<Option<Read>>,
}

#[derive(Debug)]
struct Read {
    token: Arc<str>,
    modified: Option<SystemTime>,
    looked: Instant,
}

impl TokenSource {
    /// Always `token`.
    pub fn fixed(token: &str) -> TokenSource {
        TokenSource::Fixed(token.into())
    }

    /// The file at `path`.
    pub fn file(path: PathBuf) -> TokenSource {
        TokenSource::File(Arc::new(FileToken { path, look_again: LOOK_AGAIN, last: Mutex::new(None) }))
    }

    /// The token to send now.
    pub(crate) async fn current(&self) -> Option<Arc<str>> {
        match self {
            TokenSource::None => None,
            TokenSource::Fixed(token) => Some(token.clone()),
            TokenSource::File(file) => file.current(),
            TokenSource::Shared(cell) => {
                let token = cell.read().unwrap_or_else(PoisonError::into_inner).clone();
                (!token.is_empty()).then_some(token)
            }
        }
    }
}

impl FileToken {
    /// The file is tiny and on a local disk or tmpfs, so it is read in place.
    fn current(&self) -> Option<Arc<str>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = last.as_ref().filter(|read| read.looked.elapsed() < self.look_again) {
            return Some(read.token.clone());
        }
        let modified = std::fs::metadata(&self.path).and_then(|metadata| metadata.modified()).ok();
        if let Some(read) = last.as_mut().filter(|read| modified.is_some() && read.modified == modified) {
            read.looked = Instant::now();
            return Some(read.token.clone());
        }
        match std::fs::read_to_string(&self.path) {
            Ok(text) if !text.trim().is_empty() => {
                let token: Arc<str> = text.trim().into();
                *last = Some(Read { token: token.clone(), modified, looked: Instant::now() });
                Some(token)
            }
            // The old token serves while the file is being replaced.
            _ => last.as_ref().map(|read| read.token.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again_and_a_missing_one_keeps_the_last_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = FileToken { path: path.clone(), look_again: Duration::ZERO, last: Mutex::new(None) };
        assert_eq!(file.current(), None);
        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(file.current().as_deref(), Some("one"));
        std::fs::write(&path, "two").unwrap();
        let later = SystemTime::now() + Duration::from_secs(5);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!(file.current().as_deref(), Some("two"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.current().as_deref(), Some("two"));
    }
}
