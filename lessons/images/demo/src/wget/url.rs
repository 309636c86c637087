//! The parts of an `http` address.

/// Where to ask for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) host: String,
    pub(super) port: u16,
    /// With the query; at least `/`.
    pub(super) path: String,
}

impl Url {
    /// Reads an address; `http://` may be left out.
    ///
    /// # Errors
    /// Why it is none that can be fetched.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => {
                return Err(format!(
                    "not an http url: {text} (this wget does not speak {scheme}; the tools image has curl)"
                ));
            }
            None => text,
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let bad = || format!("bad address '{authority}'");
        let port = port.map_or(Ok(80), str::parse).map_err(|_| bad())?;
        if host.is_empty() {
            return Err(bad());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host: host.to_owned(), port, path: path.replace(' ', "%20") })
    }

    /// The address that a redirect leads to.
    ///
    /// # Errors
    /// As [`Url::parse`].
    pub(super) fn follow(&self, location: &str) -> Result<Self, String> {
        if location.contains("://") {
            return Self::parse(location);
        }
        let path = if location.starts_with('/') {
            location.to_owned()
        } else {
            let folder = self.path.split('?').next().unwrap_or_default().rsplit_once('/').map_or("", |(it, _)| it);
            format!("{folder}/{location}")
        };
        Ok(Self { path, ..self.clone() })
    }

    /// Host and port as they are shown and sent.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }

    /// The file to save to.
    pub(super) fn file_name(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        match path.rsplit('/').next() {
            None | Some("" | "." | "..") => "index.html".to_owned(),
            Some(name) => name.to_owned(),
        }
    }
}
