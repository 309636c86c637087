//! Names and codes. Pure.

use drydock_protocol::class::{CODE_LENGTH, CODE_LETTERS, NAME_LIMIT};

/// The name under which the class knows somebody: a name that is taken gets the first free number.
pub(super) fn unique(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    (2_u32..)
        .map(|number| {
            let tail = format!(" ({number})");
            let room = NAME_LIMIT.saturating_sub(tail.len());
            format!("{}{tail}", name.chars().take(room).collect::<String>().trim_end())
        })
        .find(|name| !is_taken(name))
        .unwrap_or_default()
}

/// A join code.
pub(super) fn random_code() -> String {
    code(&rand::random())
}

/// Letters by the digits of a random number; 22 letters seven times are 2,494,357,888 codes.
fn code(number: &u64) -> String {
    let letters = CODE_LETTERS.as_bytes();
    let (mut rest, count) = (*number, letters.len() as u64);
    (0..CODE_LENGTH)
        .map(|_| {
            let letter = letters[(rest % count) as usize];
            rest /= count;
            char::from(letter)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use drydock_protocol::class::read_code;

    use super::*;

    #[track_caller]
    fn check(name: &str, taken: &[&str], expected: &str) {
        assert_eq!(unique(name, |name| taken.contains(&name)), expected);
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        check("Ada", &[], "Ada");
        check("Ada", &["Ada"], "Ada (2)");
        check("Ada", &["Ada", "Ada (2)", "Ada (3)"], "Ada (4)");
        check("Ada (2)", &["Ada (2)"], "Ada (2) (2)");
        let long = "長".repeat(NAME_LIMIT);
        let numbered = unique(&long, |name| name == long);
        assert_eq!(numbered.chars().count(), NAME_LIMIT);
        assert!(numbered.ends_with("長 (2)"), "{numbered}");
    }

    #[test]
    fn codes_can_be_read() {
        for number in [0, 1, 21, 22, u64::MAX, 0x0123_4567_89ab_cdef] {
            let code = code(&number);
            assert_eq!(read_code(&code).as_deref(), Some(&*code));
        }
        assert_ne!(code(&1), code(&2));
    }
}
