//! Which requests are for a preview: read from the host that the browser asked.

/// The parts of a preview's host, `<word>--<session>.<domain>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PreviewHost<'a> {
    /// What is opened, see [`drydock_protocol::Target`].
    pub(crate) word: &'a str,
    /// Name of the session.
    pub(crate) session: &'a str,
}

/// What a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// The app's.
    App,
    /// A preview's.
    Preview(PreviewHost<'a>),
    /// Below a domain of previews, but no preview.
    Nothing,
}

/// Domain below which every browser finds its own machine.
pub(crate) const LOCALHOST: &str = "localhost";

/// What `host` (with or without port) is, with `domain` for previews beside `localhost`.
pub(crate) fn kind<'a>(host: &'a str, domain: Option<&str>) -> Kind<'a> {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|it| it.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_end_matches('.');
    let below = |domain: &str| {
        let at = name.len().checked_sub(domain.len())?;
        let (label, end) = (name.get(..at)?, name.get(at..)?);
        end.eq_ignore_ascii_case(domain).then(|| label.strip_suffix('.')).flatten()
    };
    // A preview's domain may be written with a port.
    let domain = domain.map(|it| it.split_once(':').map_or(it, |(name, _)| name));
    let Some(label) = domain.and_then(below).or_else(|| below(LOCALHOST)) else { return Kind::App };
    match label.rsplit_once("--") {
        Some((word, session)) if !word.is_empty() && !session.is_empty() && !label.contains('.') => {
            Kind::Preview(PreviewHost { word, session })
        }
        _ => Kind::Nothing,
    }
}

/// Where previews of a session can be opened from the app at `host`: domain and port, or none where only paths serve.
pub(crate) fn base(host: &str, domain: Option<&str>) -> Option<String> {
    if let Some(domain) = domain {
        return Some(domain.to_owned());
    }
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|it| it.is_ascii_digit()));
    let (name, port) = port.map_or((host, None), |(name, port)| (name, Some(port)));
    let own = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    own.then(|| port.map_or(LOCALHOST.to_owned(), |port| format!("{LOCALHOST}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, expected: Kind<'_>) {
        assert_eq!(kind(host, Some("preview.example.edu")), expected, "{host}");
    }

    #[test]
    fn hosts() {
        let preview = |word, session| Kind::Preview(PreviewHost { word, session });
        for app in [
            "127.0.0.1:8080",
            "localhost",
            "localhost:8080",
            "lab.example.edu",
            "[::1]:8080",
            "",
            "notlocalhost",
            "preview.example.edu",
        ] {
            check(app, Kind::App);
        }
        check("30080--s-abc.localhost:8080", preview("30080", "s-abc"));
        check("30080--s-abc.LOCALHOST", preview("30080", "s-abc"));
        check("shop-example-com--ingress--s-abc.preview.example.edu", preview("shop-example-com--ingress", "s-abc"));
        check(
            "shop-example-com--ingress--s-abc.preview.example.edu:443",
            preview("shop-example-com--ingress", "s-abc"),
        );
        check("30080--s-abc.localhost.", preview("30080", "s-abc"));
        for nothing in [
            "www.localhost",
            "--s-abc.localhost",
            "30080--.localhost",
            "a.30080--s-abc.localhost",
            ".localhost",
            "x.preview.example.edu",
        ] {
            check(nothing, Kind::Nothing);
        }
    }

    #[test]
    fn where_previews_open() {
        assert_eq!(base("127.0.0.1:8080", None).as_deref(), Some("localhost:8080"));
        assert_eq!(base("localhost", None).as_deref(), Some("localhost"));
        assert_eq!(base("10.1.2.3:8080", None), None);
        assert_eq!(base("lab.example.edu", Some("preview.example.edu")).as_deref(), Some("preview.example.edu"));
    }
}
