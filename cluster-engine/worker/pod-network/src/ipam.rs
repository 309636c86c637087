//! Which pod has which address, kept as one file per address (the layout of CNI's host-local plugin).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::{Cidr, Error};

const LAST_RESERVED: &str = "last_reserved_ip.0";

/// The address book of one node.
#[derive(Debug)]
pub(crate) struct Ipam {
    directory: PathBuf,
    range: Cidr,
    last: Option<Ipv4Addr>,
    holders: BTreeMap<Ipv4Addr, String>,
}

impl Ipam {
    /// Reads what a former run wrote. Files of another range are removed: the node got a new CIDR.
    pub(crate) fn open(directory: &Path, range: Cidr) -> Result<Self, Error> {
        let file_error = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { path, source }
        };
        std::fs::create_dir_all(directory).map_err(file_error(directory))?;
        let mut holders = BTreeMap::new();
        for entry in std::fs::read_dir(directory).map_err(file_error(directory))?.flatten() {
            let Some(ip) = entry.file_name().to_str().and_then(|name| name.parse::<Ipv4Addr>().ok()) else {
                continue;
            };
            let id = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let id = id.lines().next().unwrap_or_default().trim();
            if range.contains(ip) && !id.is_empty() {
                holders.insert(ip, id.to_owned());
            } else {
                std::fs::remove_file(entry.path()).map_err(file_error(&entry.path()))?;
            }
        }
        let last = std::fs::read_to_string(directory.join(LAST_RESERVED)).ok();
        let last = last.and_then(|text| text.trim().parse().ok()).filter(|ip| range.contains(*ip));
        Ok(Self { directory: directory.to_owned(), range, last, holders })
    }

    /// The next free address after the one handed out last, so that a released one rests as long as possible.
    pub(crate) fn reserve(&mut self, id: &str) -> Result<Ipv4Addr, Error> {
        if let Some((ip, _)) = self.holders.iter().find(|(_, holder)| *holder == id) {
            return Ok(*ip);
        }
        let first = self.range.gateway().to_bits() + 1;
        let end = self.range.last().to_bits();
        let count = end.saturating_sub(first) + 1;
        let start = self.last.map_or(first, |last| last.to_bits() + 1);
        let offset = start.wrapping_sub(first) % count.max(1);
        let free = (0..count)
            .map(|step| Ipv4Addr::from_bits(first + (offset + step) % count))
            .find(|ip| !self.holders.contains_key(ip))
            .ok_or(Error::Exhausted { first: Ipv4Addr::from_bits(first), last: Ipv4Addr::from_bits(end) })?;
        self.write(&free.to_string(), &format!("{id}\r\neth0"))?;
        self.write(LAST_RESERVED, &free.to_string())?;
        self.last = Some(free);
        self.holders.insert(free, id.to_owned());
        Ok(free)
    }

    /// Gives the address of `id` back.
    pub(crate) fn release(&mut self, id: &str) {
        let directory = &self.directory;
        self.holders.retain(|ip, holder| {
            if holder != id {
                return true;
            }
            // A file that stays is found and removed at the next start, when its sandbox is gone.
            let _ = std::fs::remove_file(directory.join(ip.to_string()));
            false
        });
    }

    /// The ids that hold an address.
    pub(crate) fn holders(&self) -> Vec<String> {
        self.holders.values().cloned().collect()
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.directory.join(name);
        std::fs::write(&path, text).map_err(|source| Error::File { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reserve(ipam: &mut Ipam, id: &str, expected: &str) {
        assert_eq!(ipam.reserve(id).unwrap().to_string(), expected);
    }

    #[test]
    fn addresses_rest_after_release_and_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let range: Cidr = "10.1.0.0/29".parse().unwrap();
        let mut ipam = Ipam::open(directory.path(), range).unwrap();
        reserve(&mut ipam, "a", "10.1.0.2");
        reserve(&mut ipam, "b", "10.1.0.3");
        reserve(&mut ipam, "a", "10.1.0.2");
        ipam.release("a");
        reserve(&mut ipam, "c", "10.1.0.4");
        let mut ipam = Ipam::open(directory.path(), range).unwrap();
        reserve(&mut ipam, "d", "10.1.0.5");
        reserve(&mut ipam, "e", "10.1.0.6");
        reserve(&mut ipam, "f", "10.1.0.2");
        let full = ipam.reserve("g").unwrap_err().to_string();
        assert_eq!(full, "no IP addresses available in range set: 10.1.0.2-10.1.0.6");
        assert_eq!(ipam.holders().len(), 5);
        let other = Ipam::open(directory.path(), "10.2.0.0/24".parse().unwrap()).unwrap();
        assert!(other.holders().is_empty());
    }
}
