//! A remote's part of `/openapi/v2`: fetched when it changes, kept compressed.

use std::io::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use drydock_api::openapi::{self, Part};

use crate::packed;

/// What a server adds to the v2 document.
pub(crate) struct Swagger {
    /// The ETag of the document that it was cut out of; empty when there was none.
    pub(super) etag: String,
    gzip: Bytes,
}

/// It is the same when the same is in it, whatever else changed in the server's document.
impl PartialEq for Swagger {
    fn eq(&self, other: &Self) -> bool {
        self.gzip == other.gzip
    }
}

impl std::fmt::Debug for Swagger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Swagger").field("etag", &self.etag).field("bytes", &self.gzip.len()).finish()
    }
}

/// What came of asking a server for its v2 document.
#[derive(Debug)]
pub(super) enum Asked {
    Document {
        etag: String,
        bytes: Bytes,
    },
    /// It is what it was.
    NotModified,
    /// There is none.
    Missing,
    /// No answer that can be used.
    Failed(String),
}

impl Swagger {
    /// Cuts a group version's part out of a server's document.
    fn cut(etag: String, document: &[u8], group: &str, version: &str) -> io::Result<Self> {
        let part = openapi::cut(document, group, version)?;
        let mut encoder = packed::encoder();
        encoder.write_all(&part)?;
        Ok(Self { etag, gzip: packed::finish(encoder)? })
    }

    /// The part, to be merged.
    pub(crate) fn part(&self) -> io::Result<Part> {
        Ok(Part::read(&packed::plain(&self.gzip)?)?)
    }
}

/// The part from now on: a server that answers, but not to this, keeps the one it had.
pub(super) fn next(before: Option<Arc<Swagger>>, asked: Asked, group: &str, version: &str) -> Option<Arc<Swagger>> {
    match asked {
        Asked::Document { etag, bytes } => match Swagger::cut(etag, &bytes, group, version) {
            Ok(swagger) => Some(Arc::new(swagger)),
            Err(error) => {
                tracing::debug!(%error, api.group = group, api.version = version, "cannot read an OpenAPI v2 document");
                before
            }
        },
        Asked::NotModified => before,
        Asked::Missing => None,
        Asked::Failed(why) => {
            tracing::debug!(%why, api.group = group, api.version = version, "cannot get an OpenAPI v2 document");
            before
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_kept_until_it_changes() {
        let document = |etag: &str, text: &str| Asked::Document {
            etag: etag.to_owned(),
            bytes: Bytes::from(format!(
                r#"{{"paths": {{"/apis/g.io/v1/things": {text}, "/apis/g.io/v2/": {{"n": "{etag}"}}}}}}"#
            )),
        };
        let next = |before: &Option<Arc<Swagger>>, asked| super::next(before.clone(), asked, "g.io", "v1");
        let first = next(&None, document("1", "{}"));
        assert_eq!(first.as_ref().map(|swagger| swagger.etag.as_str()), Some("1"));
        assert!(first.as_ref().is_some_and(|swagger| swagger.part().is_ok()));
        let garbage = Asked::Document { etag: String::new(), bytes: Bytes::from_static(b"<html>") };
        for asked in [Asked::NotModified, Asked::Failed("no answer".to_owned()), garbage] {
            assert_eq!(next(&first, asked), first);
        }
        let second = next(&first, document("2", "{}"));
        assert_eq!(second.as_ref().map(|swagger| swagger.etag.as_str()), Some("2"));
        assert!(second == first, "what it was cut out of changed elsewhere");
        assert!(next(&first, document("3", r#"{"get": {}}"#)) != first);
        assert_eq!(next(&first, Asked::Missing), None);
    }
}
