//! Descriptions of types and fields, inflated package by package only while OpenAPI documents are made.

use std::io::Read;

use super::builtin::table;
use super::view::Type;

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions.bin"));

/// Descriptions of built-in types. Holds the package last asked for, so ask in the order of names.
#[derive(Default)]
pub struct Descriptions {
    first: u32,
    types: Vec<String>,
}

impl Descriptions {
    /// Nothing is inflated yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The type's description, then one per field in the order of [`Type::fields`]. Empty for types that are not built in.
    pub fn of(&mut self, ty: Type<'_>) -> impl Iterator<Item = &str> {
        if !std::ptr::eq(ty.schema(), table()) {
            self.types.clear();
        } else if !self.holds(ty.id()) {
            self.load(ty.id());
        }
        let index = ty.id().wrapping_sub(self.first) as usize;
        self.types.get(index).map(|text| text.split('\u{1f}')).into_iter().flatten()
    }

    fn holds(&self, id: u32) -> bool {
        id.checked_sub(self.first).is_some_and(|index| (index as usize) < self.types.len())
    }

    fn load(&mut self, id: u32) {
        let word = |at: usize| PACKED.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        let count = word(0) as usize;
        // The last package that starts at or before the type.
        let Some(entry) = (0..count).map(|i| 4 + i * 16).take_while(|at| word(*at) <= id).last() else { return };
        let (offset, len, raw_len) = (word(entry + 4) as usize, word(entry + 8) as usize, word(entry + 12) as usize);
        let start = 4 + count * 16 + offset;
        let mut text = String::with_capacity(raw_len);
        let packed = PACKED.get(start..start + len).unwrap_or_default();
        if flate2::read::DeflateDecoder::new(packed).read_to_string(&mut text).is_err() {
            text.clear();
        }
        self.first = word(entry);
        self.types = text.split('\u{1e}').map(str::to_owned).collect();
    }
}
