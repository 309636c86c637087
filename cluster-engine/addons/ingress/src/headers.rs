//! What becomes of a request's and an answer's headers on the way through. Pure.

use std::net::IpAddr;

use http::header::{CONNECTION, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue};

/// Headers about one connection, not about the message.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What the endpoint is to know of the client's connection.
#[derive(Clone, Debug)]
pub struct Origin<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The host that the client asked, port included.
    pub host: &'a str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The port that the client connected to, as it sees it.
    pub port: u16,
}

/// The protocol that a request or answer wants to change to.
pub fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let asked = asked.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| asked).cloned()
}

/// Takes away what is about one connection only; `kept` stays as the wish to change the protocol.
pub fn strip(headers: &mut HeaderMap, kept: Option<&HeaderValue>) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    // gRPC asks for trailers with it, the one value that may pass.
    let trailers = headers.get(TE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"));
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = kept {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
}

/// Says who the client is, in the words that the common ingress controllers use. What the client itself says about that
/// is not believed.
pub fn forwarded(headers: &mut HeaderMap, origin: &Origin<'_>, request_id: &str) {
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let client = origin.client.to_canonical().to_string();
    set("x-real-ip", &client);
    set("x-forwarded-for", &client);
    set("x-forwarded-host", origin.host);
    set("x-forwarded-port", &origin.port.to_string());
    set("x-forwarded-proto", origin.scheme);
    set("x-forwarded-scheme", origin.scheme);
    set("x-scheme", origin.scheme);
    if !headers.contains_key("x-request-id")
        && let Ok(id) = HeaderValue::from_str(request_id)
    {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    headers.remove("forwarded");
    // HTTP/2 has no such header; HTTP/1.1 demands it.
    if !headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(origin.host)
    {
        headers.insert(HOST, host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_is_about_one_connection_stays_there() {
        let mut headers = map(&[
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip"),
            ("upgrade", "h2c"),
            ("accept", "*/*"),
        ]);
        assert_eq!(upgrade(&headers), None);
        strip(&mut headers, None);
        assert_eq!(headers, map(&[("accept", "*/*")]));
    }

    #[test]
    fn a_change_of_protocol_is_passed_on() {
        let mut headers = map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        let protocol = upgrade(&headers).unwrap();
        strip(&mut headers, Some(&protocol));
        assert_eq!(headers, map(&[("connection", "upgrade"), ("upgrade", "websocket")]));
    }

    #[test]
    fn trailers_may_be_asked_for() {
        let mut headers = map(&[("te", "trailers")]);
        strip(&mut headers, None);
        assert_eq!(headers, map(&[("te", "trailers")]));
    }

    #[test]
    fn clients_do_not_choose_who_they_are() {
        let mut headers =
            map(&[("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=1.2.3.4"), ("x-request-id", "theirs")]);
        let origin = Origin { client: [10, 20, 0, 9].into(), host: "a.example:8443", scheme: "https", port: 443 };
        forwarded(&mut headers, &origin, "ours");
        for (name, value) in [
            ("x-forwarded-for", "10.20.0.9"),
            ("x-real-ip", "10.20.0.9"),
            ("x-forwarded-host", "a.example:8443"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-proto", "https"),
            ("x-request-id", "theirs"),
            ("host", "a.example:8443"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        assert!(!headers.contains_key("forwarded"));
    }
}
