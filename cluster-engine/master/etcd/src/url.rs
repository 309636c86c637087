//! The URLs of etcd's flags.

/// Where to listen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The flag's value, for messages.
    pub(crate) url: String,
    /// `host:port`.
    pub(crate) authority: String,
    /// Whether TLS is spoken.
    pub(crate) secure: bool,
}

/// Takes a flag's URLs apart.
pub(crate) fn parse(flag: &str, urls: &[String]) -> Result<Vec<Endpoint>, String> {
    urls.iter().map(|url| endpoint(url).ok_or_else(|| format!("{flag}: {url:?} is not http(s)://host:port"))).collect()
}

fn endpoint(url: &str) -> Option<Endpoint> {
    let (scheme, rest) = url.split_once("://")?;
    let secure = match scheme {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':')?;
    if host.is_empty() || host.contains('/') || port.parse::<u16>().is_err() {
        return None;
    }
    Some(Endpoint { url: url.to_owned(), authority: authority.to_owned(), secure })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let one = |url: &str| parse("--x", &[url.to_owned()]).map(|mut found| found.remove(0));
        assert_eq!(
            one("https://127.0.0.1:2379"),
            Ok(Endpoint { url: "https://127.0.0.1:2379".into(), authority: "127.0.0.1:2379".into(), secure: true })
        );
        assert_eq!(one("http://[::1]:0/").map(|endpoint| endpoint.authority), Ok("[::1]:0".to_owned()));
        for wrong in ["127.0.0.1:2379", "ftp://a:1", "http://a", "http://:1", "http://a:99999", "http://a/b:1"] {
            assert!(one(wrong).is_err(), "{wrong}");
        }
    }
}
