//! Reads a database's buckets, entry by entry. What stands in the file is not trusted: every place is looked up with its
//! bounds, and no more pages are visited than there are.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use thiserror::Error;

use super::{BRANCH, BUCKET, ELEMENT, HEAD, LEAF, MAGIC, META_SIZE, PAGE, VERSION, checksum};

/// Why a database cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file system refused.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// No database, or none of a version that is known.
    #[error("it is no database of etcd")]
    Foreign,
    /// A page makes no sense.
    #[error("page {page} is damaged")]
    Damaged {
        /// Its number.
        page: u64,
    },
}

/// A database that is being read.
#[derive(Debug)]
pub struct Database {
    file: File,
    page_size: usize,
    root: u64,
    /// Pages there are, by the file's own count and by its size.
    pages: u64,
}

/// Sees an element: flags, key, value.
type Visit<'a> = dyn FnMut(u32, &[u8], &[u8]) + 'a;

/// A tree may be this high: far more than any that fits on a disk.
const HIGHEST: usize = 40;
/// Page sizes that bbolt uses lie between these.
const SIZES: std::ops::RangeInclusive<usize> = 1024..=65536;

impl Database {
    /// Opens a database.
    ///
    /// # Errors
    /// When it is none.
    pub fn open(mut file: File) -> Result<Database, ReadError> {
        let length = file.metadata()?.len();
        let first = Meta::read(&mut file, 0, length)?;
        let second = match &first {
            Some(meta) => Meta::read(&mut file, meta.page_size as u64, length)?,
            None => Meta::read(&mut file, PAGE as u64, length)?,
        };
        // The newer of the two that are whole.
        let meta = first.into_iter().chain(second).max_by_key(|meta| meta.transaction).ok_or(ReadError::Foreign)?;
        let pages = meta.pages.min(length / meta.page_size as u64);
        Ok(Database { file, page_size: meta.page_size, root: meta.root, pages })
    }

    /// Visits a bucket's entries in the order of their keys; tells whether there is such a bucket.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn each(&mut self, bucket: &str, mut visit: impl FnMut(&[u8], &[u8])) -> Result<bool, ReadError> {
        let mut found = None;
        let mut budget = self.pages;
        self.walk(self.root, HIGHEST, &mut budget, &mut |flags, key, value| {
            if flags & BUCKET != 0 && key == bucket.as_bytes() {
                found = Some(value.to_vec());
            }
        })?;
        let Some(found) = found else { return Ok(false) };
        let root = number(&found, 0).ok_or(ReadError::Damaged { page: self.root })?;
        let mut each = |flags: u32, key: &[u8], value: &[u8]| {
            if flags & BUCKET == 0 {
                visit(key, value);
            }
        };
        if root == 0 {
            // A small bucket stands inside its element, as one page.
            let page = found.get(16..).unwrap_or_default();
            leaf(page, &mut each).ok_or(ReadError::Damaged { page: self.root })?;
        } else {
            let mut budget = self.pages;
            self.walk(root, HIGHEST, &mut budget, &mut each)?;
        }
        Ok(true)
    }

    fn walk(&mut self, page: u64, height: usize, budget: &mut u64, visit: &mut Visit<'_>) -> Result<(), ReadError> {
        let damaged = ReadError::Damaged { page };
        let (Some(left), Some(height)) = (budget.checked_sub(1), height.checked_sub(1)) else { return Err(damaged) };
        *budget = left;
        let content = self.page(page)?;
        match short(&content, 8) {
            Some(LEAF) => leaf(&content, visit).ok_or(damaged),
            Some(BRANCH) => {
                let count = usize::from(short(&content, 10).unwrap_or(0));
                for index in 0..count {
                    let child = number(&content, HEAD + index * ELEMENT + 8).ok_or(ReadError::Damaged { page })?;
                    self.walk(child, height, budget, visit)?;
                }
                Ok(())
            }
            _ => Err(damaged),
        }
    }

    /// A page with those that continue it.
    fn page(&mut self, page: u64) -> Result<Vec<u8>, ReadError> {
        let damaged = || ReadError::Damaged { page };
        if page >= self.pages {
            return Err(damaged());
        }
        self.file.seek(SeekFrom::Start(page * self.page_size as u64))?;
        let mut content = vec![0; self.page_size];
        self.file.read_exact(&mut content)?;
        let more = word(&content, 12).map_or(0, u64::from);
        if number(&content, 0) != Some(page) || more >= self.pages - page {
            return Err(damaged());
        }
        let size = usize::try_from((more + 1) * self.page_size as u64).map_err(|_| damaged())?;
        content.resize(size, 0);
        self.file.read_exact(&mut content[self.page_size..])?;
        Ok(content)
    }
}

/// Visits a leaf's elements; nothing if one lies outside of its page.
fn leaf(page: &[u8], visit: &mut Visit<'_>) -> Option<()> {
    let count = usize::from(short(page, 10)?);
    for index in 0..count {
        let at = HEAD + index * ELEMENT;
        let size = |offset| word(page, at + offset).map(|size| size as usize);
        let (flags, place, key, value) = (word(page, at)?, size(4)?, size(8)?, size(12)?);
        let key_at = at.checked_add(place)?;
        let value_at = key_at.checked_add(key)?;
        visit(flags, page.get(key_at..value_at)?, page.get(value_at..value_at.checked_add(value)?)?);
    }
    Some(())
}

/// What a meta page says.
#[derive(Debug)]
struct Meta {
    page_size: usize,
    root: u64,
    pages: u64,
    transaction: u64,
}

impl Meta {
    fn read(file: &mut File, at: u64, length: u64) -> Result<Option<Meta>, ReadError> {
        if at + (PAGE as u64) > length {
            return Ok(None);
        }
        let mut page = [0; HEAD + META_SIZE + 8];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut page)?;
        Ok(Meta::parse(&page[HEAD..]))
    }

    fn parse(content: &[u8]) -> Option<Meta> {
        let known = word(content, 0)? == MAGIC && word(content, 4)? == VERSION;
        let whole = number(content, META_SIZE)? == checksum(content.get(..META_SIZE)?);
        let page_size = word(content, 8)? as usize;
        (known && whole && SIZES.contains(&page_size)).then_some(Meta {
            page_size,
            root: number(content, 16)?,
            pages: number(content, 40)?,
            transaction: number(content, 48)?,
        })
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
