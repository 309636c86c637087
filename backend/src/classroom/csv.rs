//! Progress as CSV (RFC 4180), as spreadsheets open it: with a byte order mark, so that names are not garbled, and with no
//! field that one would calculate. Pure.

/// One learner's row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// Name.
    pub(super) name: String,
    /// When they joined.
    pub(super) joined_millis: u64,
    /// When each step was done, in the order of the columns.
    pub(super) done: Vec<Option<u64>>,
}

/// The table; `steps` are the lessons' and steps' names.
pub(super) fn table(steps: &[(String, String)], rows: &[Row]) -> String {
    let mut text = String::from('\u{feff}');
    let fixed = ["Name", "Joined", "Steps done", "Steps"].map(str::to_owned);
    line(&mut text, fixed.into_iter().chain(steps.iter().map(|(lesson, step)| format!("{lesson} / {step}"))));
    for row in rows {
        let done = row.done.iter().flatten().count();
        let fixed = [row.name.clone(), instant(row.joined_millis), done.to_string(), steps.len().to_string()];
        line(&mut text, fixed.into_iter().chain(row.done.iter().map(|it| it.map(instant).unwrap_or_default())));
    }
    text
}

fn line(text: &mut String, fields: impl Iterator<Item = String>) {
    for (number, value) in fields.enumerate() {
        if number > 0 {
            text.push(',');
        }
        text.push_str(&field(&value));
    }
    text.push_str("\r\n");
}

/// A field as it is written. What a spreadsheet would take for a formula begins with an apostrophe.
fn field(value: &str) -> String {
    let is_formula = value.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
        || value.starts_with(['\t', '\r', '\n']);
    let guard = if is_formula { "'" } else { "" };
    if value.contains([',', '"', '\r', '\n']) {
        format!("\"{guard}{}\"", value.replace('"', "\"\""))
    } else {
        format!("{guard}{value}")
    }
}

/// Date and time as spreadsheets read them, in UTC.
fn instant(millis: u64) -> String {
    let stamp = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    stamp.map(|it| it.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        for (value, expected) in [
            ("Ada", "Ada"),
            ("王小明", "王小明"),
            ("Lovelace, Ada", "\"Lovelace, Ada\""),
            ("the \"first\"", "\"the \"\"first\"\"\""),
            ("=1+1", "'=1+1"),
            (" =HYPERLINK(\"http://x\",\"y\")", "\"' =HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("\tx", "'\tx"),
            ("a\nb", "\"a\nb\""),
            ("", ""),
        ] {
            assert_eq!(field(value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_table() {
        let steps = [("pods".to_owned(), "run".to_owned()), ("pods".to_owned(), "look".to_owned())];
        let row = Row { name: "Ada".to_owned(), joined_millis: 0, done: vec![Some(1_700_000_000_000), None] };
        assert_eq!(
            table(&steps, &[row]),
            "\u{feff}Name,Joined,Steps done,Steps,pods / run,pods / look\r\n\
             Ada,1970-01-01 00:00:00,1,2,2023-11-14 22:13:20,\r\n"
        );
        assert_eq!(table(&[], &[]), "\u{feff}Name,Joined,Steps done,Steps\r\n");
    }
}
