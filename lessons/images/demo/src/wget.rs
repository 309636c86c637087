//! A `wget` for the demo image: the options people use in lessons, the texts of BusyBox.
//!
//! The image's own busybox brings a C library that looks up names by loading further parts of itself at run time, which
//! a minimal image does not have; this one needs nothing but sockets.

mod names;
mod options;
mod url;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use options::Options;
use url::Url;

/// More redirects than this are a loop.
const MOST_REDIRECTS: usize = 20;
/// A server's header may have that many bytes.
const MOST_HEADER: u64 = 256 * 1024;

/// Why nothing was fetched; what stands after `wget: `.
type Reason = String;

/// Fetches what the command line asks for; the exit code.
pub(crate) fn main(arguments: &[String]) -> i32 {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(text) => {
            say(&text);
            return 1;
        }
    };
    let mut code = 0;
    for url in &options.urls {
        if let Err(reason) = fetch(&options, url) {
            say(&format!("wget: {reason}"));
            code = 1;
        }
    }
    code
}

/// To standard error; nobody left to read it is no reason to fail.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn fetch(options: &Options, url: &str) -> Result<(), Reason> {
    let mut url = Url::parse(url)?;
    let mut body = options.post_data.clone();
    for _ in 0..=MOST_REDIRECTS {
        let mut answer = ask(options, &url, body.as_deref())?;
        if options.server_response {
            for line in &answer.lines {
                say(&format!("  {line}"));
            }
        }
        match answer.status {
            300..=303 | 307 | 308 => {
                let location = answer.header("location").ok_or("no location in the server's redirect")?;
                url = url.follow(location)?;
                if answer.status < 307 {
                    body = None;
                }
            }
            200..=299 if options.spider => {
                if !options.quiet {
                    say("remote file exists");
                }
                return Ok(());
            }
            200..=299 => return save(options, &url, &mut answer),
            _ => return Err(format!("server returned error: {}", answer.lines.first().map_or("", String::as_str))),
        }
    }
    Err("too many redirections".to_owned())
}

/// A server's answer: its header, and a reader at the beginning of the body.
struct Answer {
    lines: Vec<String>,
    status: u16,
    stream: BufReader<TcpStream>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.lines.iter().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Copies the body, however the server marks its end.
    fn copy(&mut self, out: &mut dyn Write) -> Result<(), Reason> {
        let lost = |error: io::Error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "download timed out".to_owned(),
            io::ErrorKind::UnexpectedEof => "connection closed prematurely".to_owned(),
            _ => error.to_string(),
        };
        if self.header("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked")) {
            loop {
                let mut line = String::new();
                self.stream.by_ref().take(MOST_HEADER).read_line(&mut line).map_err(lost)?;
                let size = line.trim().split(';').next().unwrap_or_default();
                let size = u64::from_str_radix(size, 16).map_err(|_| "bad chunk length".to_owned())?;
                if size == 0 {
                    return Ok(());
                }
                exactly(&mut self.stream, size, out).map_err(lost)?;
                self.stream.read_exact(&mut [0; 2]).map_err(lost)?;
            }
        }
        match self.header("content-length").map(str::parse::<u64>) {
            Some(Ok(length)) => exactly(&mut self.stream, length, out).map_err(lost),
            Some(Err(_)) => Err("content-length is garbage".to_owned()),
            None => io::copy(&mut self.stream, out).map(drop).map_err(lost),
        }
    }
}

fn exactly(from: &mut impl Read, length: u64, out: &mut dyn Write) -> io::Result<()> {
    let copied = io::copy(&mut from.take(length), out)?;
    if copied < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn ask(options: &Options, url: &Url, body: Option<&str>) -> Result<Answer, Reason> {
    let stream = connect(options, url)?;
    let mut request = format!("{} {} HTTP/1.1\r\n", if body.is_some() { "POST" } else { "GET" }, url.path);
    let mut add = |name: &str, value: &str| {
        let given = options
            .headers
            .iter()
            .any(|header| header.split_once(':').is_some_and(|(other, _)| other.trim().eq_ignore_ascii_case(name)));
        if !given {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
    };
    add("Host", &url.authority());
    add("User-Agent", &options.user_agent);
    add("Accept", "*/*");
    add("Connection", "close");
    if let Some(body) = body {
        add("Content-Type", "application/x-www-form-urlencoded");
        add("Content-Length", &body.len().to_string());
    }
    for header in &options.headers {
        request.push_str(header.trim());
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.push_str(body.unwrap_or_default());
    (&stream).write_all(request.as_bytes()).map_err(|error| format!("error sending the request: {error}"))?;
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        let read = stream.by_ref().take(MOST_HEADER).read_line(&mut line);
        match read {
            Ok(0) if lines.is_empty() => return Err("error getting response".to_owned()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err("download timed out".to_owned());
            }
            Err(_) => return Err("error getting response".to_owned()),
            Ok(_) => {}
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() || lines.len() > 1000 {
            break;
        }
        lines.push(line);
    }
    let first = lines.first().map_or("", String::as_str);
    let status = first.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let status = status.filter(|_| first.starts_with("HTTP/")).ok_or("error getting response")?;
    Ok(Answer { lines, status, stream })
}

fn connect(options: &Options, url: &Url) -> Result<TcpStream, Reason> {
    let addresses = names::look_up(&url.host).ok_or_else(|| format!("bad address '{}'", url.host))?;
    let mut last = String::new();
    for ip in addresses {
        let address = SocketAddr::new(ip, url.port);
        if !options.quiet {
            say(&format!("Connecting to {} ({})", url.authority(), show(address)));
        }
        match TcpStream::connect_timeout(&address, options.timeout) {
            Ok(stream) => {
                let limited = |result: io::Result<()>| result.map_err(|error| error.to_string());
                limited(stream.set_read_timeout(Some(options.timeout)))?;
                limited(stream.set_write_timeout(Some(options.timeout)))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => last = "download timed out".to_owned(),
            Err(error) => last = format!("can't connect to remote host ({ip}): {}", reason(&error)),
        }
    }
    Err(last)
}

fn show(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("{ip}:{}", address.port()),
        IpAddr::V6(ip) => format!("[{ip}]:{}", address.port()),
    }
}

/// The kernel's words, without Rust's number behind them.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn save(options: &Options, url: &Url, answer: &mut Answer) -> Result<(), Reason> {
    let name = options.output.clone().unwrap_or_else(|| url.file_name());
    let told = |text: &str| {
        if !options.quiet {
            say(text);
        }
    };
    if name == "-" {
        told("writing to stdout");
        let mut out = io::stdout().lock();
        answer.copy(&mut out)?;
        // A reader that has seen enough, as `head`, is no error.
        let _ = out.flush();
        told("written to stdout");
        return Ok(());
    }
    let path = match (&options.output, &options.directory) {
        (None, Some(directory)) => Path::new(directory).join(&name),
        _ => name.clone().into(),
    };
    let mut file =
        File::create(&path).map_err(|error| format!("can't open '{}': {}", path.display(), reason(&error)))?;
    told(&format!("saving to '{}'", path.display()));
    answer.copy(&mut file)?;
    told(&format!("'{}' saved", path.display()));
    Ok(())
}

/// BusyBox waits that long.
const PATIENCE: Duration = Duration::from_secs(900);

#[cfg(test)]
mod tests;
