//! QR codes as SVG paths. Pure.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around the code, without which cameras do not find it.
const QUIET: i32 = 4;

/// A code as a drawing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawing {
    /// Width and height of the drawing, in modules.
    pub size: i32,
    /// The dark modules.
    pub path: String,
}

/// The code of a text; nothing where the text is too long for any.
#[must_use]
pub fn draw(text: &str) -> Drawing {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return Drawing::default() };
    let mut path = String::new();
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let run = (x..code.size()).take_while(|it| code.get_module(*it, y)).count() as i32;
            if run > 0 {
                let _ = write!(path, "M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
            }
            x += run.max(1);
        }
    }
    Drawing { size: code.size() + 2 * QUIET, path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_becomes_a_code_with_its_three_corners() {
        let drawing = draw("http://192.168.1.20:8080/join/KMNPQRS");
        // Version 3 has 29 modules a side.
        assert_eq!(drawing.size, 29 + 2 * QUIET);
        // The first row begins and ends with the upper edge of a corner.
        assert!(drawing.path.starts_with("M4 4h7v1h-7z"), "{}", drawing.path);
        assert!(drawing.path.contains("M26 4h7v1h-7z"), "{}", drawing.path);
        assert!(drawing.path.contains("M4 32h7v1h-7z"), "{}", drawing.path);
    }

    #[test]
    fn a_text_too_long_gives_none() {
        assert_eq!(draw(&"x".repeat(3000)), Drawing::default());
    }
}
