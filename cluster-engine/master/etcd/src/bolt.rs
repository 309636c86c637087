//! Files of bbolt, the B+tree database in which etcd keeps and hands out its state: written in one go, read in order.
//!
//! A file is a row of pages of 4096 bytes (others can be read), each with a head of 16 bytes: its number, kind, count of
//! elements and how many pages more it takes. Pages 0 and 1 say where the tree of buckets begins; a bucket is the root
//! page of its own tree. Elements of a leaf are flags, place, key size and value size; those of a branch place, key size
//! and page. All numbers are little endian. The rules are those of go.etcd.io/bbolt, format version 2.

mod read;
mod write;

pub use read::{Database, ReadError};
pub use write::Writer;

const PAGE: usize = 4096;
const HEAD: usize = 16;
const ELEMENT: usize = 16;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const FREE_LIST: u16 = 0x10;
/// Flag of a leaf's element whose value is a bucket.
const BUCKET: u32 = 0x01;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// Bytes of a meta page's content that its checksum covers.
const META_SIZE: usize = 56;

/// FNV-1a, 64 bits: the checksum of a meta page.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Content = Vec<(Vec<u8>, Vec<u8>)>;

    fn content(count: usize, size: usize) -> Content {
        (0..count).map(|i| (format!("key{i:06}").into_bytes(), vec![(i % 251) as u8; size])).collect()
    }

    #[track_caller]
    fn check(content: &Content) {
        let mut writer = Writer::new(tempfile::tempfile().unwrap()).unwrap();
        writer.bucket("empty", std::iter::empty()).unwrap();
        writer.bucket("full", content.iter().map(|(key, value)| (key.clone(), value.clone()))).unwrap();
        let file = writer.finish().unwrap();
        let mut database = Database::open(file).unwrap();
        let mut found = Content::new();
        assert!(database.each("full", |key, value| found.push((key.to_vec(), value.to_vec()))).unwrap());
        assert_eq!(&found, content);
        assert!(database.each("empty", |_, _| panic!("it is empty")).unwrap());
        assert!(!database.each("absent", |_, _| panic!("it is not there")).unwrap());
    }

    #[test]
    fn what_is_written_is_read() {
        check(&content(0, 0));
        check(&content(1, 10));
        check(&content(500, 30));
        // Two levels of branches; values longer than a page.
        check(&content(40_000, 8));
        check(&content(20, 10_000));
    }

    #[test]
    fn damage_is_told_and_never_followed() {
        let mut writer = Writer::new(tempfile::tempfile().unwrap()).unwrap();
        writer.bucket("full", content(2_000, 30).into_iter()).unwrap();
        let mut file = writer.finish().unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        for at in (0..bytes.len()).step_by(97) {
            let mut broken = bytes.clone();
            broken[at] ^= 0xff;
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, &broken).unwrap();
            // Any answer will do, but there is one.
            if let Ok(mut database) = Database::open(file) {
                let _ = database.each("full", |_, _| {});
            }
        }
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &[7; 9000]).unwrap();
        assert!(matches!(Database::open(file), Err(ReadError::Foreign)));
    }
}
