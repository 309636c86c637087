//! Plain requests to the server's API.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// Asks and reads the answer's JSON.
///
/// # Panics
/// When the server does not answer, or not in JSON.
#[track_caller]
pub fn request(address: &str, method: &str, path: &str, body: &str) -> Value {
    let answer = raw(address, method, path, body);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}"))
}

/// Asks and reads the whole answer, head and all.
///
/// # Panics
/// When the server does not answer.
#[track_caller]
pub fn raw(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
