//! An empty ext4 file system in a sparse file, written without any program of the machine: containers have none.
//!
//! It has what a node needs and no more: no journal (a node's disk is checked after a crash instead, and a journal's cost is in
//! every `fsync` of etcd), no room to grow. Nothing is written but the superblocks, the tables of groups, the bitmaps of the
//! first and last group and two folders: what is not written is zero, which is how the rest has to be. The layout is the
//! kernel's, `Documentation/filesystems/ext4/`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 4096;
/// As many as one block of bits can tell of.
const BLOCKS_A_GROUP: u64 = 8 * BLOCK;
/// One for every 16 KiB.
const INODES_A_GROUP: u64 = 8192;
const INODE: u64 = 256;
const TABLE_BLOCKS: u64 = INODES_A_GROUP * INODE / BLOCK;
const DESCRIPTOR: u64 = 32;
/// A last group with less room than that beside its own tables is left out.
const WORTH_A_GROUP: u64 = 64;

const ROOT: u64 = 2;
/// The first that is not reserved; programs that check disks look for this folder.
const LOST_AND_FOUND: u64 = 11;

/// Extended attributes, hashed folders.
const COMPATIBLE: u32 = 0x8 | 0x20;
/// Kinds of files in folders, extents.
const INCOMPATIBLE: u32 = 0x2 | 0x40;
/// Few copies of the superblock, large and huge files, checksums of groups, many folders in one, larger inodes.
const READ_ONLY_COMPATIBLE: u32 = 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40;

const INODES_UNUSED: u16 = 1;
const BLOCKS_UNUSED: u16 = 2;
/// Zero already, so that the kernel need not write zeros ahead of use.
const TABLE_IS_ZERO: u16 = 4;

const FOLDER: u8 = 2;

/// Where things are.
struct Layout {
    blocks: u64,
    groups: u64,
    /// Blocks of the table of groups.
    table: u64,
}

impl Layout {
    /// # Errors
    /// When the file system would have no room, or more than its numbers can tell.
    fn of(bytes: u64) -> io::Result<Layout> {
        let mut blocks = bytes / BLOCK;
        loop {
            let groups = blocks.div_ceil(BLOCKS_A_GROUP);
            let layout = Layout { blocks, groups, table: (groups * DESCRIPTOR).div_ceil(BLOCK) };
            if groups == 0 || u32::try_from(blocks).is_err() || u32::try_from(groups * INODES_A_GROUP).is_err() {
                let text = format!("a disk of {bytes} bytes cannot be made");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            let last = groups - 1;
            if layout.end(last) - layout.start(last) >= layout.own(last) + WORTH_A_GROUP {
                return Ok(layout);
            }
            blocks = last * BLOCKS_A_GROUP;
        }
    }

    fn start(&self, group: u64) -> u64 {
        group * BLOCKS_A_GROUP
    }

    fn end(&self, group: u64) -> u64 {
        self.blocks.min(self.start(group + 1))
    }

    /// Blocks before a group's bitmaps: the superblock and the table of groups, or a copy of them.
    fn ahead(&self, group: u64) -> u64 {
        if has_superblock(group) { 1 + self.table } else { 0 }
    }

    /// Blocks that a group needs for itself.
    fn own(&self, group: u64) -> u64 {
        self.ahead(group) + 2 + TABLE_BLOCKS
    }

    /// Blocks in use: a group's own, and in the first one those of the two folders.
    fn used(&self, group: u64) -> u64 {
        self.own(group) + if group == 0 { 2 } else { 0 }
    }

    fn free(&self, group: u64) -> u64 {
        self.end(group) - self.start(group) - self.used(group)
    }

    fn block_bitmap(&self, group: u64) -> u64 {
        self.start(group) + self.ahead(group)
    }

    /// The block of the root folder; the other folder's is the next.
    fn folders(&self) -> u64 {
        self.own(0)
    }
}

/// Whether a group starts with a superblock: the first two, and powers of 3, 5 and 7.
fn has_superblock(group: u64) -> bool {
    let is_power = |base: u64| {
        let mut power = base;
        while power < group {
            power *= base;
        }
        power == group
    };
    group <= 1 || [3, 5, 7].into_iter().any(is_power)
}

/// Makes the file an empty file system of about this size, whose root folder belongs to root.
///
/// # Errors
/// When the size is out of reach or the file cannot be written.
pub(super) fn format(file: &File, bytes: u64, id: [u8; 16], now: u32) -> io::Result<()> {
    let layout = Layout::of(bytes)?;
    file.set_len(layout.blocks * BLOCK)?;
    let table: Vec<u8> = (0..layout.groups).flat_map(|group| descriptor(&layout, group, &id)).collect();
    for group in (0..layout.groups).filter(|group| has_superblock(*group)) {
        let start = layout.start(group) * BLOCK;
        // The first one leaves room for a boot sector.
        let offset = if group == 0 { 1024 } else { 0 };
        file.write_all_at(&superblock(&layout, group, &id, now), start + offset)?;
        file.write_all_at(&table, start + BLOCK)?;
    }
    for group in [0, layout.groups - 1] {
        let room = layout.end(group) - layout.start(group);
        file.write_all_at(&bitmap(layout.used(group), room), layout.block_bitmap(group) * BLOCK)?;
    }
    let inodes = layout.block_bitmap(0) + 1;
    file.write_all_at(&bitmap(LOST_AND_FOUND, INODES_A_GROUP), inodes * BLOCK)?;
    let folders = layout.folders();
    let write = |number: u64, mode: u16, links: u16, block: u64, entries: &[(u64, &str)]| {
        let at = (inodes + 1) * BLOCK + (number - 1) * INODE;
        file.write_all_at(&inode(mode, links, block, now), at)?;
        file.write_all_at(&folder(entries), block * BLOCK)
    };
    write(ROOT, 0o40755, 3, folders, &[(ROOT, "."), (ROOT, ".."), (LOST_AND_FOUND, "lost+found")])?;
    write(LOST_AND_FOUND, 0o40700, 2, folders + 1, &[(LOST_AND_FOUND, "."), (ROOT, "..")])
}

/// A structure that is zero but for some little-endian fields.
struct Fields(Vec<u8>);

impl Fields {
    fn new(size: u64) -> Fields {
        // A few kilobytes at most.
        Fields(vec![0; usize::try_from(size).unwrap_or_default()])
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Its low half; layouts have no numbers that do not fit.
    fn u16(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes()[..2]);
    }

    fn u32(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes()[..4]);
    }
}

fn superblock(layout: &Layout, group: u64, id: &[u8; 16], now: u32) -> Vec<u8> {
    let free: u64 = (0..layout.groups).map(|group| layout.free(group)).sum();
    let inodes = layout.groups * INODES_A_GROUP;
    let mut fields = Fields::new(1024);
    fields.u32(0, inodes);
    fields.u32(4, layout.blocks);
    fields.u32(12, free);
    fields.u32(16, inodes - LOST_AND_FOUND);
    // Blocks, and clusters of one block, are 1024 << 2 bytes.
    fields.u32(24, 2);
    fields.u32(28, 2);
    fields.u32(32, BLOCKS_A_GROUP);
    fields.u32(36, BLOCKS_A_GROUP);
    fields.u32(40, INODES_A_GROUP);
    fields.u32(48, now.into());
    // Never checked just because it was mounted often.
    fields.u16(54, 0xffff);
    fields.u16(56, 0xef53);
    // Clean; errors do not stop it; the first revision with features.
    fields.u16(58, 1);
    fields.u16(60, 1);
    fields.u32(64, now.into());
    fields.u32(76, 1);
    fields.u32(84, LOST_AND_FOUND);
    fields.u16(88, INODE);
    fields.u16(90, group);
    fields.u32(92, COMPATIBLE.into());
    fields.u32(96, INCOMPATIBLE.into());
    fields.u32(100, READ_ONLY_COMPATIBLE.into());
    fields.put(104, id);
    // The seed of folders' hashes, half of MD4, over signed characters.
    fields.put(236, id);
    fields.put(252, &[1]);
    fields.u32(352, 1);
    // Extended attributes and access control lists.
    fields.u32(256, 0xc);
    fields.u32(264, now.into());
    // Times beyond 2038 in every inode.
    fields.u16(348, 32);
    fields.u16(350, 32);
    fields.0
}

fn descriptor(layout: &Layout, group: u64, id: &[u8; 16]) -> Vec<u8> {
    let (first, last) = (group == 0, group + 1 == layout.groups);
    let mut flags = TABLE_IS_ZERO;
    if !first {
        flags |= INODES_UNUSED;
        if !last {
            flags |= BLOCKS_UNUSED;
        }
    }
    let unused = INODES_A_GROUP - if first { LOST_AND_FOUND } else { 0 };
    let mut fields = Fields::new(DESCRIPTOR);
    fields.u32(0, layout.block_bitmap(group));
    fields.u32(4, layout.block_bitmap(group) + 1);
    fields.u32(8, layout.block_bitmap(group) + 2);
    fields.u16(12, layout.free(group));
    fields.u16(14, unused);
    fields.u16(16, if first { 2 } else { 0 });
    fields.u16(18, flags.into());
    fields.u16(28, unused);
    let sum = crc16(0xffff, id);
    let sum = crc16(sum, &group.to_le_bytes()[..4]);
    let sum = crc16(sum, &fields.0[..30]);
    fields.u16(30, sum.into());
    fields.0
}

/// CRC-16 with the polynomial 0x8005, lowest bit first.
fn crc16(start: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(start, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xa001 } else { sum >> 1 })
    })
}

/// A block of bits: the first `used` are set, and all that tell of nothing.
fn bitmap(used: u64, room: u64) -> Vec<u8> {
    let is_set = |bit: u64| bit < used || bit >= room;
    let byte = |at: u64| (0..8).filter(|bit| is_set(at * 8 + bit)).fold(0, |byte, bit| byte | 1 << bit);
    (0..BLOCK).map(byte).collect()
}

/// A folder of one block.
fn inode(mode: u16, links: u16, block: u64, now: u32) -> Vec<u8> {
    let mut fields = Fields::new(INODE);
    fields.u16(0, mode.into());
    fields.u32(4, BLOCK);
    for at in [8, 12, 16, 144] {
        fields.u32(at, now.into());
    }
    fields.u16(26, links.into());
    fields.u32(28, BLOCK / 512);
    // Its place is told by an extent: the head of a tree with room for four, of which one is used.
    fields.u32(32, 0x8_0000);
    fields.u16(40, 0xf30a);
    fields.u16(42, 1);
    fields.u16(44, 4);
    fields.u16(56, 1);
    fields.u32(60, block);
    fields.u16(128, 32);
    fields.0
}

/// A block of names, the last of which reaches to its end.
fn folder(entries: &[(u64, &str)]) -> Vec<u8> {
    let mut fields = Fields::new(BLOCK);
    let (mut at, end) = (0, fields.0.len());
    for (index, (inode, name)) in entries.iter().enumerate() {
        let length = (8 + name.len()).next_multiple_of(4);
        let length = if index + 1 == entries.len() { end - at } else { length };
        fields.u32(at, *inode);
        fields.u16(at + 4, length as u64);
        fields.put(at + 6, &[name.len().to_le_bytes()[0], FOLDER]);
        fields.put(at + 8, name.as_bytes());
        at += length;
    }
    fields.0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    use super::*;

    /// The judge is e2fsprogs' own checker, which knows every rule of the layout.
    #[track_caller]
    fn check(bytes: u64) {
        let file = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
        format(file.as_file(), bytes, *b"0123456789abcdef", 1_800_000_000).unwrap();
        let metadata = file.as_file().metadata().unwrap();
        assert!(metadata.len() <= bytes && metadata.len() + (4 << 20) > bytes, "{} of {bytes}", metadata.len());
        assert!(metadata.blocks() * 512 < (256 << 10) + bytes / 4096, "{} blocks", metadata.blocks());
        let path = std::env::join_paths(["/sbin", "/usr/sbin", "/bin", "/usr/bin"]).unwrap();
        let mut e2fsck = Command::new("e2fsck");
        let output = e2fsck.env("PATH", path).args(["-f", "-n"]).arg(file.path()).output().expect("e2fsprogs is here");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{bytes}: {said}");
    }

    #[test]
    fn a_new_disk_is_without_fault() {
        // One group, a whole number of them, a part at the end, a part that is too small, and one with many copies.
        for bytes in [8 << 20, 64 << 20, 256 << 20, 300_000_000, (128 << 20) + (1 << 20), 10 << 30, 500 << 30] {
            check(bytes);
        }
    }

    #[test]
    fn no_disk_is_made_that_has_no_room_or_too_much() {
        let file = tempfile::tempfile().unwrap();
        for bytes in [0, 4095, 1 << 20, 1 << 50] {
            assert!(format(&file, bytes, [0; 16], 0).is_err(), "{bytes}");
        }
    }

    #[test]
    fn superblocks_are_few() {
        let found: Vec<_> = (0..130).filter(|group| has_superblock(*group)).collect();
        assert_eq!(found, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125]);
    }
}
