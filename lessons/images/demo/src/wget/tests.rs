//! The command line, addresses, names, and fetching from a real socket.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpListener};
use std::thread::JoinHandle;

use super::names::{Resolver, answers, hosts, query};
use super::*;

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn command_lines() {
    let parse = |text: &str| Options::parse(&words(text));
    let found = parse("-qO- -T 5 --header A:1 --header=B:2 --post-data x=1 http://a:8080/b").unwrap();
    assert!(found.quiet && !found.spider);
    assert_eq!((found.output.as_deref(), found.timeout.as_secs()), (Some("-"), 5));
    assert_eq!((found.headers, found.post_data.as_deref()), (words("A:1 B:2"), Some("x=1")));
    assert_eq!(found.urls, ["http://a:8080/b"]);
    let found = parse("-q -O - --timeout=2 -S --spider a -T3").unwrap();
    assert_eq!((found.spider, found.server_response, found.timeout.as_secs()), (true, true, 3));
    for wrong in ["-q", "--nope a", "-T", "-T x a", "-z a"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn addresses() {
    for (text, host, port, path, file) in [
        ("http://web", "web", 80, "/", "index.html"),
        ("web:8080/a/b?c", "web", 8080, "/a/b?c", "b"),
        ("http://[::1]:81?x", "::1", 81, "/?x", "index.html"),
        ("http://u:p@h/#f", "h", 80, "/", "index.html"),
    ] {
        let url = Url::parse(text).unwrap();
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), (host, port, path), "{text}");
        assert_eq!(url.file_name(), file, "{text}");
    }
    for text in ["https://x", "http://", "http://a:b/", "ftp://x"] {
        assert!(Url::parse(text).is_err(), "{text}");
    }
    let url = Url::parse("http://h:81/a/b").unwrap();
    assert_eq!(url.follow("c").unwrap().path, "/a/c");
    assert_eq!(url.follow("http://i/d").unwrap().authority(), "i");
}

#[test]
fn names_follow_hosts_and_search_list() {
    let text = "127.0.0.1 localhost\n10.0.0.5\tweb-0 web # x\n";
    assert_eq!(hosts(text, "WEB"), ["10.0.0.5".parse::<IpAddr>().unwrap()]);
    assert!(hosts(text, "x").is_empty());
    let resolver = Resolver::parse("search ns.svc.c svc.c\nnameserver 10.96.0.10\noptions ndots:5\n");
    assert_eq!(resolver.candidates("web"), ["web.ns.svc.c", "web.svc.c", "web"]);
    assert_eq!(resolver.candidates("a.b.c.d.e.f")[0], "a.b.c.d.e.f");
    assert_eq!(resolver.candidates("web."), ["web"]);
}

#[test]
fn name_servers_are_spoken_to() {
    let question = query(7, "web.ns").unwrap();
    assert_eq!(&question[12..], b"\x03web\x02ns\0\0\x01\0\x01");
    assert!(query(7, "a..b").is_none());
    let mut answer = question.clone();
    answer[2] |= 0x80;
    answer[7] = 2;
    answer.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x02\xc0\x0c");
    answer.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\x60\0\x01");
    assert_eq!(answers(7, &answer).unwrap(), ["10.96.0.1".parse::<IpAddr>().unwrap()]);
    assert!(answers(8, &answer).is_none(), "another question's answer");
    answer.truncate(answer.len() - 2);
    assert!(answers(7, &answer).is_none(), "cut off");
}

/// Serves the given answers, one a connection, and returns what was asked.
fn serve(answers: Vec<&'static str>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        answers
            .into_iter()
            .map(|answer| {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut asked, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.strip_prefix("Content-Length: ") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                    asked.push_str(line.trim());
                    asked.push('\n');
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                asked.push_str(&String::from_utf8(body).unwrap());
                (&stream).write_all(answer.as_bytes()).unwrap();
                asked
            })
            .collect()
    });
    (address, server)
}

#[track_caller]
fn check(arguments: &str, answers: Vec<&'static str>, code: i32, body: Option<&str>, asked: &str) {
    let directory = std::env::temp_dir().join(format!("demo-wget-{}-{}", std::process::id(), rand(arguments)));
    let _ = std::fs::remove_file(&directory);
    let (address, server) = serve(answers);
    let line = format!("-q -O {} {arguments} http://{address}/x", directory.display());
    assert_eq!(main(&words(&line)), code, "{arguments}");
    assert_eq!(std::fs::read_to_string(&directory).ok().as_deref(), body, "{arguments}");
    let last = server.join().unwrap().pop().unwrap();
    assert!(last.contains(asked), "{last}");
    let _ = std::fs::remove_file(&directory);
}

/// A number for a text, to keep the cases' files apart.
fn rand(text: &str) -> usize {
    text.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
}

#[test]
fn fetching() {
    check("-T 1", vec!["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"], 0, Some("hi"), "GET /x HTTP/1.1");
    check("-T 2", vec!["HTTP/1.0 200 OK\r\n\r\nto the end"], 0, Some("to the end"), "Connection: close");
    check(
        "-T 3",
        vec!["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"],
        0,
        Some("abcde"),
        "Host: 127.0.0.1",
    );
    check("-T 4", vec!["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"], 1, None, "GET /x");
    check("-T 5", vec!["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"], 1, Some("short"), "User-Agent: Wget");
    check("--spider", vec!["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"], 0, None, "GET /x");
    check("--post-data a=1 --header Host:h", vec!["HTTP/1.1 201 Created\r\n\r\n"], 0, Some(""), "Host:h\na=1");
    let (address, server) = serve(vec!["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
    let target: &'static str = Box::leak(format!("HTTP/1.1 302 Found\r\nLocation: http://{address}/y\r\n\r\n").into());
    check("-T 6", vec![target], 0, Some(""), "GET /x");
    assert!(server.join().unwrap()[0].contains("GET /y"));
    assert_eq!(main(&words("-q -O - -T 1 http://127.0.0.1:1/")), 1, "nobody listens there");
}
