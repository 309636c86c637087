//! Writing, rotating and reading back.

use super::*;

fn read(path: &Path, options: Options) -> String {
    let mut reader = Reader::open(path, options).unwrap();
    let mut out = Vec::new();
    while let Some(piece) = reader.next().unwrap().filter(|piece| !piece.is_empty()) {
        out.extend(piece);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn lines_come_back_as_they_were_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c/0.log");
    let mut writer = Writer::open(&path, 1 << 20, 5).unwrap();
    writer.write(Source::Stdout, b"one\ntw").unwrap();
    writer.write(Source::Stderr, b"err\n").unwrap();
    writer.write(Source::Stdout, b"o\n").unwrap();
    writer.write(Source::Stdout, b"end").unwrap();
    writer.end(Source::Stdout).unwrap();
    assert_eq!(read(&path, Options::default()), "one\nerr\ntwo\nend");
    let only = |stream: &str| Options { stream: Some(stream.to_owned()), ..Options::default() };
    assert_eq!(read(&path, only("stderr")), "err\n");
    let tail = |lines| Options { tail_lines: Some(lines), ..Options::default() };
    assert_eq!(read(&path, tail(2)), "two\nend");
    assert_eq!(read(&path, tail(0)), "");
    assert_eq!(read(&path, tail(99)), "one\nerr\ntwo\nend");
    assert_eq!(read(&path, Options { limit_bytes: Some(5), ..Options::default() }), "one\ne");
    let timed = read(&path, Options { timestamps: true, ..tail(3) });
    let first = timed.lines().next().unwrap();
    assert_eq!((first.len(), &first[first.len() - 5..]), (34, "Z err"));
    assert_eq!(read(&path, Options { since: Some((i64::MAX, 0)), ..Options::default() }), "");
    assert_eq!(read(&path, Options { since: Some((0, 0)), ..tail(1) }), "end");
}

#[test]
fn long_lines_are_joined_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let mut writer = Writer::open(&path, 1 << 20, 5).unwrap();
    let long = "x".repeat(40_000) + "\n";
    writer.write(Source::Stdout, long.as_bytes()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
    assert_eq!(read(&path, Options::default()), long);
    let timed = read(&path, Options { timestamps: true, ..Options::default() });
    assert_eq!(timed.len(), long.len() + 31);
}

#[test]
fn logs_rotate_and_a_reader_follows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let mut writer = Writer::open(&path, 200, 3).unwrap();
    writer.write(Source::Stdout, b"first\n").unwrap();
    let mut reader = Reader::open(&path, Options::default()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap(), b"first\n");
    assert!(reader.next().unwrap().unwrap().is_empty());
    for number in 0..20 {
        writer.write(Source::Stdout, format!("line {number}\n").as_bytes()).unwrap();
        assert_eq!(reader.next().unwrap().unwrap(), format!("line {number}\n").as_bytes());
    }
    assert_eq!(rotated_files(&path).len(), 2);
}
