//! Sets of numbers as text: `0-2,5`.

use std::collections::BTreeSet;

pub(super) fn parse(text: &str) -> BTreeSet<i32> {
    let mut set = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<i32>(), last.parse::<i32>())
            && last - first < 100_000
        {
            set.extend(first..=last);
        }
    }
    set
}

pub(super) fn format(set: &BTreeSet<i32>) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut run: Option<(i32, i32)> = None;
    let mut close = |run: Option<(i32, i32)>| match run {
        None => {}
        Some((first, last)) if first == last => parts.push(first.to_string()),
        // Two in a row are written apart, as upstream does.
        Some((first, last)) if first + 1 == last => parts.push(format!("{first},{last}")),
        Some((first, last)) => parts.push(format!("{first}-{last}")),
    };
    for number in set {
        run = match run {
            Some((first, last)) if last + 1 == *number => Some((first, *number)),
            other => {
                close(other);
                Some((*number, *number))
            }
        };
    }
    close(run);
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for text in ["", "0", "0,1", "0-2", "1,3-5,7,8"] {
            assert_eq!(format(&parse(text)), text);
        }
        assert!(parse("x,1-").is_empty());
    }
}
