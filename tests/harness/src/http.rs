//! Plain requests to the server's API, with the cookies that it gave.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// A browser as far as the API is concerned: it keeps cookies.
#[derive(Debug, Default)]
pub struct Browser {
    cookies: Mutex<BTreeMap<String, String>>,
}

/// The browsers of those that say nothing else: one for each server, by its address.
static DEFAULT: Mutex<Option<HashMap<String, &'static Browser>>> = Mutex::new(None);

/// A server that was started again with the same data has the same browser at its new address.
pub(crate) fn meet(address: &str, data: &str) {
    let known = browser(data);
    let mut all = DEFAULT.lock().unwrap_or_else(PoisonError::into_inner);
    all.get_or_insert_default().insert(address.to_owned(), known);
}

/// The browser that [`request`] and [`raw`] are, for a server.
pub fn browser(address: &str) -> &'static Browser {
    let mut all = DEFAULT.lock().unwrap_or_else(PoisonError::into_inner);
    all.get_or_insert_default().entry(address.to_owned()).or_insert_with(|| Box::leak(Box::default()))
}

/// Asks and reads the answer's JSON.
///
/// # Panics
/// When the server does not answer, or not in JSON.
#[track_caller]
pub fn request(address: &str, method: &str, path: &str, body: &str) -> Value {
    browser(address).request(address, method, path, body)
}

/// Asks and reads the whole answer, head and all.
///
/// # Panics
/// When the server does not answer.
#[track_caller]
pub fn raw(address: &str, method: &str, path: &str, body: &str) -> String {
    browser(address).raw(address, method, path, body, &[])
}

/// The value of the header `Cookie` for requests that are made otherwise.
pub fn cookies(address: &str) -> String {
    browser(address).cookies()
}

impl Browser {
    /// Asks and reads the answer's JSON.
    ///
    /// # Panics
    /// When the server does not answer, or not in JSON.
    #[track_caller]
    pub fn request(&self, address: &str, method: &str, path: &str, body: &str) -> Value {
        let answer = self.raw(address, method, path, body, &[]);
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}"))
    }

    /// Asks with further headers and reads the whole answer, head and all.
    ///
    /// # Panics
    /// When the server does not answer.
    #[track_caller]
    pub fn raw(&self, address: &str, method: &str, path: &str, body: &str, more: &[(&str, &str)]) -> String {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        let length = body.len();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        );
        let cookies = self.cookies();
        if !cookies.is_empty() {
            head.push_str(&format!("Cookie: {cookies}\r\n"));
        }
        for (name, value) in more {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body.as_bytes()))
            .expect("the request is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        self.keep(&answer);
        answer
    }

    /// Asks with further headers; the status, the head in small letters and the body. What goes on for ever has no body here.
    ///
    /// # Panics
    /// When the server does not answer.
    #[track_caller]
    pub fn ask(
        &self,
        address: &str,
        method: &str,
        path: &str,
        body: &str,
        more: &[(&str, &str)],
    ) -> (u16, String, String) {
        let stream = TcpStream::connect(address).expect("the server listens");
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n", body.len());
        let cookies = self.cookies();
        let own = [("Content-Type", "application/json"), ("Cookie", cookies.as_str())];
        for (name, value) in own.iter().chain(more).filter(|(_, value)| !value.is_empty()) {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        head.push_str(body);
        (&stream).write_all(head.as_bytes()).expect("the request is sent");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).expect("an answer") > 0 {}
        self.keep(&head);
        let head = head.to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.and_then(|length| length.trim().parse().ok()).unwrap_or_default()];
        reader.read_exact(&mut body).expect("the answer's body");
        (status, head, String::from_utf8_lossy(&body).into_owned())
    }

    /// The value of the header `Cookie`.
    pub fn cookies(&self) -> String {
        let cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Sets a cookie, as an attacker would.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value.to_owned());
    }

    fn keep(&self, answer: &str) {
        let head = answer.split_once("\r\n\r\n").map_or(answer, |(head, _)| head);
        let mut cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        for line in head.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if !name.eq_ignore_ascii_case("set-cookie") {
                continue;
            }
            if let Some((name, value)) = value.split(';').next().and_then(|pair| pair.split_once('=')) {
                if value.is_empty() {
                    cookies.remove(name);
                } else {
                    cookies.insert(name.to_owned(), value.to_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_and_given_up() {
        let browser = Browser::default();
        browser.keep("HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\n\r\nset-cookie: c=3");
        assert_eq!(browser.cookies(), "a=1; b=2");
        browser.keep("HTTP/1.1 200 OK\r\nset-cookie: a=; Max-Age=0\r\n\r\n");
        assert_eq!(browser.cookies(), "b=2");
    }
}
