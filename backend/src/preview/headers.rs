//! Which headers pass a preview: nothing of the app's reaches a cluster, nothing of a cluster's reaches the app.

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Cookies of the server's own begin so; a cluster neither sees nor sets them. That is every cookie of
/// `identity`, of today and of earlier versions.
const OWN: [&str; 2] = ["drydock_", "__host-drydock_"];
/// Headers that concern one connection only.
const HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What says who asked and how: the server's to tell.
const TOLD: [&str; 7] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
];
/// What a browser would keep for more than the preview's own host.
const WIDE: [&str; 5] =
    ["strict-transport-security", "clear-site-data", "alt-svc", "public-key-pins", "origin-agent-cluster"];
/// What a browser would keep for the whole host, or ask its user for: where all previews share the app's host, the app would have
/// it, too. Reports of failed requests would tell a cluster the app's addresses, links that let guests in among them.
const SHARED: [&str; 9] = [
    "accept-ch",
    "access-control-allow-credentials",
    "critical-ch",
    "nel",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "use-as-dictionary",
    "www-authenticate",
];
/// Where all previews share the app's host, a page may run its scripts, but as nobody: no cookies, no storage, no
/// answers of the app.
const SANDBOX: &str = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads";

/// Both sides of a preview.
#[derive(Clone, Debug)]
pub(super) struct Sides {
    /// What the browser sees, such as `http://30080--s-abc.localhost:8080`.
    pub(super) outside: String,
    /// What the cluster sees, such as `https://shop.example.com`.
    pub(super) inside: String,
    /// The path below which the preview lies on the app's host, without a slash at its end; empty on a host of its own.
    pub(super) prefix: String,
}

impl Sides {
    fn authority(origin: &str) -> &str {
        origin.split_once("://").map_or(origin, |(_, rest)| rest)
    }

    /// An address as the cluster knows it.
    fn inwards(&self, url: &str) -> Option<String> {
        let (_, rest) = url.split_once("://")?;
        let rest = rest.strip_prefix(Self::authority(&self.outside))?.strip_prefix(&self.prefix).or_else(|| {
            // An origin has no path.
            rest.strip_prefix(Self::authority(&self.outside)).filter(|rest| rest.is_empty())
        })?;
        (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then(|| format!("{}{rest}", self.inside))
    }

    /// An address as the browser knows it: the cluster's own host in either scheme, and paths from the root.
    fn outwards(&self, url: &str) -> Option<String> {
        if url.starts_with('/') && !url.starts_with("//") {
            return Some(format!("{}{url}", self.prefix));
        }
        let (start, rest) = url.split_at(url.find("//")? + 2);
        if !["http://", "https://", "//"].iter().any(|it| start.eq_ignore_ascii_case(it)) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, rest) = rest.split_at(end);
        let own = Self::authority(&self.inside);
        let bare =
            |host: &str| host.strip_suffix(":443").or(host.strip_suffix(":80")).unwrap_or(host).to_ascii_lowercase();
        let slash = if rest.starts_with('/') { "" } else { "/" };
        (bare(host) == bare(own)).then(|| format!("{}{slash}{rest}", self.prefix))
    }
}

/// Takes what concerns one connection away, `Connection`'s own list included.
pub(super) fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in listed {
        headers.remove(name);
    }
    for name in HOP {
        headers.remove(name);
    }
}

/// The protocol that a request asks to go on with, such as `websocket` or `SPDY/3.1`.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|it| it.trim().eq_ignore_ascii_case("upgrade")));
    headers.get(header::UPGRADE).filter(|_| asks).cloned()
}

/// Makes a browser's request one that a cluster may see.
pub(super) fn request(headers: &mut HeaderMap, sides: &Sides) {
    let upgrade = upgrade(headers);
    drop_hop_by_hop(headers);
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    for name in TOLD {
        headers.remove(name);
    }
    // The server itself has answered it, with what it needs to begin.
    headers.remove(header::EXPECT);
    let cookies = others(headers);
    headers.remove(header::COOKIE);
    if !sides.prefix.is_empty() {
        // The browser holds these for the app's host.
        headers.remove(header::AUTHORIZATION);
    } else if let Some(cookies) = cookies {
        headers.insert(header::COOKIE, cookies);
    }
    for name in [header::ORIGIN, header::REFERER] {
        let inside = headers.get(&name).and_then(|value| value.to_str().ok()).and_then(|url| sides.inwards(url));
        if let Some(Ok(inside)) = inside.map(|it| it.parse()) {
            headers.insert(name, inside);
        }
    }
    let mut insert = |name: HeaderName, value: &str| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    insert(header::HOST, Sides::authority(&sides.inside));
    insert(HeaderName::from_static("x-forwarded-host"), Sides::authority(&sides.outside));
    let scheme = sides.outside.split_once("://").map_or("http", |(scheme, _)| scheme);
    insert(HeaderName::from_static("x-forwarded-proto"), scheme);
    if !sides.prefix.is_empty() {
        insert(HeaderName::from_static("x-forwarded-prefix"), &sides.prefix);
    }
}

/// Whether a cookie, which begins with its name, is one of the server's own.
fn is_own(cookie: &str) -> bool {
    let cookie = cookie.trim_start().to_ascii_lowercase();
    OWN.iter().any(|own| cookie.starts_with(own))
}

/// Cookies without the server's own.
fn others(headers: &HeaderMap) -> Option<HeaderValue> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).map(str::trim);
    let kept: Vec<_> = pairs.filter(|pair| !pair.is_empty() && !is_own(pair)).collect();
    if kept.is_empty() { None } else { kept.join("; ").parse().ok() }
}

/// Makes a cluster's answer one that a browser may see.
pub(super) fn response(headers: &mut HeaderMap, sides: &Sides) {
    drop_hop_by_hop(headers);
    for name in WIDE {
        headers.remove(name);
    }
    let cookies: Vec<HeaderValue> =
        headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok().and_then(cookie)).collect();
    headers.remove(header::SET_COOKIE);
    if sides.prefix.is_empty() {
        for cookie in cookies {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let outside = headers.get(&name).and_then(|value| value.to_str().ok()).and_then(|url| sides.outwards(url));
        if let Some(Ok(outside)) = outside.map(|it| it.parse()) {
            headers.insert(name, outside);
        }
    }
    if !sides.prefix.is_empty() {
        headers.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        for name in SHARED {
            headers.remove(name);
        }
        // The page is nobody and may read what it was allowed to fetch: the address says so.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
}

/// A cookie for the preview's own host only, unless it would be one of the server's.
fn cookie(value: &str) -> Option<HeaderValue> {
    if is_own(value) {
        return None;
    }
    let domain = |part: &&str| part.split('=').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("domain"));
    let mut parts = value.split(';');
    let first = parts.next()?;
    let rest: Vec<_> = parts.filter(|part| !domain(part)).collect();
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join(";").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_host() -> Sides {
        Sides {
            outside: "http://shop--s-1.localhost:8080".into(),
            inside: "https://shop.example.com".into(),
            prefix: String::new(),
        }
    }

    fn path() -> Sides {
        Sides {
            outside: "http://10.1.2.3:8080".into(),
            inside: "http://10.20.0.11:30080".into(),
            prefix: "/preview/s-1/30080/key".into(),
        }
    }

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&str, &str)| (name.parse().expect("name"), value.parse().expect("value"));
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(parse) {
            let _: bool = headers.append::<HeaderName>(name, value);
        }
        headers
    }

    #[track_caller]
    fn check(change: fn(&mut HeaderMap, &Sides), sides: &Sides, pairs: &[(&str, &str)], expected: &[(&str, &str)]) {
        let mut headers = map(pairs);
        change(&mut headers, sides);
        let expected = map(expected);
        for name in headers.keys().chain(expected.keys()) {
            let of = |headers: &HeaderMap| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
            assert_eq!(of(&headers), of(&expected), "{name}");
        }
    }

    const TOLD_OWN: [(&str, &str); 3] =
        [("host", "shop.example.com"), ("x-forwarded-host", "shop--s-1.localhost:8080"), ("x-forwarded-proto", "http")];

    #[test]
    fn requests_on_a_host_of_their_own() {
        let with = |more: &[(&'static str, &'static str)]| [&TOLD_OWN[..], more].concat();
        check(request, &own_host(), &[("host", "shop--s-1.localhost:8080")], &with(&[]));
        check(
            request,
            &own_host(),
            &[
                ("cookie", "a=1; drydock_person=secret"),
                ("cookie", "drydock_preview=x;b=2"),
                ("authorization", "Basic eA=="),
            ],
            &with(&[("cookie", "a=1; b=2"), ("authorization", "Basic eA==")]),
        );
        check(request, &own_host(), &[("cookie", "drydock_preview=x")], &with(&[]));
        check(
            request,
            &own_host(),
            &[
                ("connection", "keep-alive, x-secret"),
                ("x-secret", "1"),
                ("keep-alive", "5"),
                ("te", "trailers"),
                ("upgrade", "h2c"),
            ],
            &with(&[]),
        );
        check(
            request,
            &own_host(),
            &[("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "k")],
            &with(&[("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "k")]),
        );
        check(
            request,
            &own_host(),
            &[
                ("x-forwarded-for", "1.2.3.4"),
                ("forwarded", "for=1.2.3.4"),
                ("x-real-ip", "1.2.3.4"),
                ("expect", "100-continue"),
            ],
            &with(&[]),
        );
        check(
            request,
            &own_host(),
            &[("origin", "http://shop--s-1.localhost:8080"), ("referer", "http://shop--s-1.localhost:8080/cart?x=1")],
            &with(&[("origin", "https://shop.example.com"), ("referer", "https://shop.example.com/cart?x=1")]),
        );
        let foreign = [("origin", "http://shop--s-1.localhost:8080.evil.example"), ("referer", "http://evil.example/")];
        check(request, &own_host(), &foreign, &with(&foreign));
    }

    #[test]
    fn requests_below_a_path() {
        let told = [
            ("host", "10.20.0.11:30080"),
            ("x-forwarded-host", "10.1.2.3:8080"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-prefix", "/preview/s-1/30080/key"),
        ];
        let pairs = [("cookie", "drydock_person=s; other=1"), ("authorization", "Basic eA==")];
        check(request, &path(), &pairs, &told);
    }

    #[test]
    fn answers_on_a_host_of_their_own() {
        check(
            response,
            &own_host(),
            &[
                ("set-cookie", "a=1; Domain=.localhost; Path=/; HttpOnly"),
                ("set-cookie", "drydock_person=forged"),
                ("set-cookie", " __Host-Drydock_preview=forged"),
                ("set-cookie", "b=2"),
            ],
            &[("set-cookie", "a=1; Path=/; HttpOnly"), ("set-cookie", "b=2")],
        );
        check(
            response,
            &own_host(),
            &[
                ("strict-transport-security", "max-age=1"),
                ("clear-site-data", "\"*\""),
                ("alt-svc", "h3"),
                ("connection", "close"),
                ("etag", "x"),
            ],
            &[("etag", "x")],
        );
        for (inside, outside) in [
            ("https://shop.example.com/cart", "/cart"),
            ("http://SHOP.example.com:80", "/"),
            ("//shop.example.com?x", "/?x"),
            ("/cart", "/cart"),
            ("cart", "cart"),
            ("https://elsewhere.example/", "https://elsewhere.example/"),
            ("https://shop.example.com.evil.example/", "https://shop.example.com.evil.example/"),
            ("javascript:alert(1)//", "javascript:alert(1)//"),
        ] {
            check(response, &own_host(), &[("location", inside)], &[("location", outside)]);
        }
    }

    #[test]
    fn answers_below_a_path() {
        let fixed = [
            ("content-security-policy", SANDBOX),
            ("referrer-policy", "no-referrer"),
            ("access-control-allow-origin", "*"),
        ];
        let with = |more: &[(&'static str, &'static str)]| [more, &fixed[..]].concat();
        check(response, &path(), &[("set-cookie", "a=1"), ("service-worker-allowed", "/")], &with(&[]));
        check(response, &path(), &[("location", "/login")], &with(&[("location", "/preview/s-1/30080/key/login")]));
        check(
            response,
            &path(),
            &[("location", "http://10.20.0.11:30080/login")],
            &with(&[("location", "/preview/s-1/30080/key/login")]),
        );
        let policy = [("content-security-policy", "default-src 'self'")];
        check(response, &path(), &policy, &with(&policy));
        for name in SHARED {
            check(response, &path(), &[(name, "1")], &with(&[]));
        }
        // On a host of its own a preview has all that for itself.
        check(response, &own_host(), &[("www-authenticate", "Basic")], &[("www-authenticate", "Basic")]);
    }
}
