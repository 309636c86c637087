//! Protobuf's wire format: variants, lengths and nothing else.

use super::Error;

/// A field's value as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Reads the fields of a message in order.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

const EOF: Error = Error::Malformed { reason: "unexpected EOF" };
const OVERFLOW: Error = Error::Malformed { reason: "proto: integer overflow" };

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's tag and value; `None` at the end. Groups, which no kind uses, are skipped.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, Error> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            let key = self.varint()?;
            let tag = u32::try_from(key >> 3).map_err(|_| Error::Malformed { reason: "proto: illegal tag" })?;
            if tag == 0 {
                return Err(Error::Malformed { reason: "proto: illegal tag 0" });
            }
            let wire = match key & 7 {
                0 => Wire::Varint(self.varint()?),
                1 => Wire::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| EOF)?)),
                2 => {
                    let len = usize::try_from(self.varint()?).map_err(|_| OVERFLOW)?;
                    Wire::Bytes(self.take(len)?)
                }
                3 | 4 => continue,
                5 => Wire::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| EOF)?)),
                _ => return Err(Error::Malformed { reason: "proto: illegal wireType" }),
            };
            return Ok(Some((tag, wire)));
        }
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(EOF)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(OVERFLOW)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        if len > self.rest.len() {
            return Err(EOF);
        }
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(taken)
    }
}

/// Packed varints of a repeated field.
pub(crate) fn packed(bytes: &[u8]) -> Result<Vec<u64>, Error> {
    let mut reader = Reader::new(bytes);
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        values.push(reader.varint()?);
    }
    Ok(values)
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_key(out: &mut Vec<u8>, tag: u16, wire: u8) {
    put_varint(out, u64::from(tag) << 3 | u64::from(wire));
}

pub(crate) fn put_int(out: &mut Vec<u8>, tag: u16, value: i64) {
    put_key(out, tag, 0);
    put_varint(out, value as u64);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, tag: u16, bytes: &[u8]) {
    put_key(out, tag, 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
