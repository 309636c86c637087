//! Writes a database: each bucket's entries in order, then the page that names the buckets.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use super::{BRANCH, BUCKET, ELEMENT, FREE_LIST, HEAD, LEAF, MAGIC, META, META_SIZE, PAGE, VERSION, checksum};

/// A database that is being written.
#[derive(Debug)]
pub struct Writer {
    output: BufWriter<File>,
    /// Number of the next page.
    next: u64,
    /// Root pages by bucket.
    buckets: BTreeMap<&'static str, u64>,
}

/// One element of a page: flags, key, and a value or, in a branch, a page.
type Element = (u32, Vec<u8>, Vec<u8>);

/// Elements that wait for their page.
#[derive(Debug)]
struct Waiting {
    kind: u16,
    elements: Vec<Element>,
    size: usize,
    /// First key and number of the pages written so far.
    done: Vec<(Vec<u8>, u64)>,
}

impl Waiting {
    fn new(kind: u16) -> Waiting {
        Waiting { kind, elements: Vec::new(), size: HEAD, done: Vec::new() }
    }
}

impl Writer {
    /// Begins a database in an empty file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new(file: File) -> io::Result<Writer> {
        let mut output = BufWriter::with_capacity(64 << 10, file);
        // The meta pages are known at the end; the free list stays empty.
        output.write_all(&[0; 2 * PAGE])?;
        let mut free = head(2, FREE_LIST, 0, 0).to_vec();
        free.resize(PAGE, 0);
        output.write_all(&free)?;
        Ok(Writer { output, next: 3, buckets: BTreeMap::new() })
    }

    /// Adds a bucket; its entries must come in the order of their keys, each key once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn bucket(&mut self, name: &'static str, entries: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> io::Result<()> {
        let root = self.tree(entries.map(|(key, value)| (0, key, value)))?;
        self.buckets.insert(name, root);
        Ok(())
    }

    /// Writes what names the buckets and hands the file back, at its beginning.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> io::Result<File> {
        let buckets: Vec<Element> = std::mem::take(&mut self.buckets)
            .into_iter()
            .map(|(name, root)| {
                let mut value = root.to_le_bytes().to_vec();
                value.extend_from_slice(&0_u64.to_le_bytes());
                (BUCKET, name.as_bytes().to_vec(), value)
            })
            .collect();
        let root = self.tree(buckets.into_iter())?;
        let Writer { output, next, .. } = self;
        let mut file = output.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        for number in 0..2_u64 {
            file.write_all(&meta(number, root, next))?;
        }
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    /// Writes a tree from its leaves up and answers its root page.
    fn tree(&mut self, entries: impl Iterator<Item = Element>) -> io::Result<u64> {
        let mut level = self.level(LEAF, entries)?;
        while level.len() > 1 {
            level = self.level(BRANCH, level.into_iter().map(|(key, page)| (0, key, page.to_le_bytes().to_vec())))?;
        }
        Ok(level.first().map_or(0, |(_, page)| *page))
    }

    /// Writes one level: a page as soon as the next element does not fit.
    fn level(&mut self, kind: u16, elements: impl Iterator<Item = Element>) -> io::Result<Vec<(Vec<u8>, u64)>> {
        let mut waiting = Waiting::new(kind);
        for element in elements {
            let stored = if kind == LEAF { element.2.len() } else { 0 };
            let size = ELEMENT + element.1.len() + stored;
            if waiting.size + size > PAGE && !waiting.elements.is_empty() {
                self.page(&mut waiting)?;
            }
            waiting.size += size;
            waiting.elements.push(element);
        }
        if !waiting.elements.is_empty() || waiting.done.is_empty() {
            self.page(&mut waiting)?;
        }
        Ok(waiting.done)
    }

    fn page(&mut self, waiting: &mut Waiting) -> io::Result<()> {
        let number = self.next;
        let pages = waiting.size.div_ceil(PAGE);
        let mut page = Vec::with_capacity(pages * PAGE);
        page.extend_from_slice(&head(number, waiting.kind, waiting.elements.len(), pages - 1));
        let count = waiting.elements.len();
        let mut place = count * ELEMENT;
        for (index, (flags, key, value)) in waiting.elements.iter().enumerate() {
            // Places count from the element itself.
            let from_here = small(place - index * ELEMENT);
            if waiting.kind == LEAF {
                page.extend_from_slice(&flags.to_le_bytes());
                page.extend_from_slice(&from_here);
                page.extend_from_slice(&small(key.len()));
                page.extend_from_slice(&small(value.len()));
                place += key.len() + value.len();
            } else {
                page.extend_from_slice(&from_here);
                page.extend_from_slice(&small(key.len()));
                page.extend_from_slice(value);
                place += key.len();
            }
        }
        let kind = waiting.kind;
        for (index, (_, key, value)) in waiting.elements.drain(..).enumerate() {
            page.extend_from_slice(&key);
            if kind == LEAF {
                page.extend_from_slice(&value);
            }
            if index == 0 {
                waiting.done.push((key, number));
            }
        }
        if count == 0 {
            waiting.done.push((Vec::new(), number));
        }
        page.resize(pages * PAGE, 0);
        waiting.size = HEAD;
        self.next += pages as u64;
        self.output.write_all(&page)
    }
}

fn head(number: u64, kind: u16, count: usize, more: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&number.to_le_bytes());
    head[8..10].copy_from_slice(&kind.to_le_bytes());
    head[10..12].copy_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    head[12..].copy_from_slice(&small(more));
    head
}

fn meta(number: u64, root: u64, pages: u64) -> [u8; PAGE] {
    let mut content = Vec::with_capacity(META_SIZE + 8);
    for word in [MAGIC, VERSION, PAGE as u32, 0] {
        content.extend_from_slice(&word.to_le_bytes());
    }
    // Root page and sequence of the bucket of buckets, free list, number of pages, transaction.
    for word in [root, 0, 2, pages, number] {
        content.extend_from_slice(&word.to_le_bytes());
    }
    let checksum = checksum(&content);
    content.extend_from_slice(&checksum.to_le_bytes());
    let mut page = [0; PAGE];
    page[..HEAD].copy_from_slice(&head(number, META, 0, 0));
    page[HEAD..HEAD + content.len()].copy_from_slice(&content);
    page
}

/// Sizes inside a page: requests are bounded far below 4 GiB.
fn small(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes()
}
