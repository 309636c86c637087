//! Host names: `/etc/hosts`, then the name servers of `/etc/resolv.conf`, its search list included.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

/// How often every server is asked, and how long for an answer.
const TRIES: usize = 2;
const PATIENCE: Duration = Duration::from_secs(3);

/// The addresses of a host.
pub(super) fn look_up(host: &str) -> Option<Vec<IpAddr>> {
    if let Ok(ip) = host.parse() {
        return Some(vec![ip]);
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let listed = hosts(&read("/etc/hosts"), host);
    if !listed.is_empty() {
        return Some(listed);
    }
    if host == "localhost" {
        return Some(vec![Ipv4Addr::LOCALHOST.into()]);
    }
    let resolver = Resolver::parse(&read("/etc/resolv.conf"));
    resolver.candidates(host).iter().find_map(|name| resolver.ask(name))
}

/// The addresses that a hosts file gives a name.
pub(super) fn hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut found: Vec<IpAddr> = lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let ip = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(ip)
        })
        .collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

/// What `/etc/resolv.conf` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resolver {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    dots: usize,
}

impl Resolver {
    pub(super) fn parse(text: &str) -> Self {
        let mut resolver = Self { dots: 1, ..Self::default() };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => resolver.servers.extend(words.filter_map(|word| word.parse::<IpAddr>().ok())),
                Some("search" | "domain") => resolver.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    for dots in words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()) {
                        resolver.dots = dots;
                    }
                }
                _ => {}
            }
        }
        resolver
    }

    /// The names to try, in order: those with few dots are looked for in the search list first.
    pub(super) fn candidates(&self, host: &str) -> Vec<String> {
        if let Some(absolute) = host.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{host}.{domain}")).collect();
        let at = if host.matches('.').count() >= self.dots { 0 } else { names.len() };
        names.insert(at, host.to_owned());
        names
    }

    fn ask(&self, name: &str) -> Option<Vec<IpAddr>> {
        let id = u16::try_from(std::process::id() & 0xffff).unwrap_or(1);
        let query = query(id, name)?;
        for server in std::iter::repeat_n(&self.servers, TRIES).flatten() {
            let local = if server.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
            let Ok(socket) = UdpSocket::bind(local) else { continue };
            let sent = socket
                .set_read_timeout(Some(PATIENCE))
                .and_then(|()| socket.connect((*server, 53)))
                .and_then(|()| socket.send(&query));
            let mut buffer = [0; 4096];
            let Ok(length) = sent.and_then(|_| socket.recv(&mut buffer)) else { continue };
            if let Some(addresses) = answers(id, buffer.get(..length).unwrap_or_default()) {
                return (!addresses.is_empty()).then_some(addresses);
            }
        }
        None
    }
}

/// A question for the A records of a name.
pub(super) fn query(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(name.len() + 18);
    message.extend_from_slice(&id.to_be_bytes());
    // Recursion desired; one question.
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    Some(message)
}

/// The IPv4 addresses of an answer, none for a name that does not exist; `None` when it is no answer to the question.
pub(super) fn answers(id: u16, message: &[u8]) -> Option<Vec<IpAddr>> {
    let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let code = message.get(3)? & 0x0f;
    if word(0)? != id || message.get(2)? & 0x80 == 0 || !matches!(code, 0 | 3) {
        return None;
    }
    let (questions, records) = (word(4)?, word(6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = skip_name(message, at)? + 4;
    }
    let mut found = Vec::new();
    for _ in 0..records {
        at = skip_name(message, at)?;
        let (kind, length) = (word(at)?, usize::from(word(at + 8)?));
        at += 10;
        let data = message.get(at..at + length)?;
        if let (1, [a, b, c, d]) = (kind, data) {
            found.push(Ipv4Addr::new(*a, *b, *c, *d).into());
        }
        at += length;
    }
    Some(found)
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += usize::from(length) + 1,
        }
    }
}
