//! Making room: which pulled images may go, and who still needs them.
//!
//! A session keeps a file of the digests it uses in `pins/` and holds a lock on it for its life; a file that nobody
//! holds is a dead session's. Imported images are never swept.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;

use super::Entry;
use super::stage::seconds;
use crate::{Error, ImageStore};

/// What pulled images take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of their layers, each counted once.
    pub bytes: u64,
    /// Of these, bytes that sessions use now.
    pub pinned: u64,
}

/// A session's hold on images; it ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct Pins {
    file: File,
    digests: BTreeSet<String>,
}

impl ImageStore {
    /// Opens the holds of a session. `name` is unique among the machine's sessions.
    ///
    /// # Errors
    /// [`Error::Io`], also when another process has them.
    pub fn pins(&self, name: &str) -> Result<Pins, Error> {
        // Under the store's lock: who sweeps removes files that it finds unlocked.
        let _lock = self.lock()?;
        let dir = self.dir.join("pins");
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).map_err(Error::io("change", &dir))?;
        let path = dir.join(name);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        file.try_lock().map_err(|error| Error::io("lock", &path)(error.into()))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(Error::io("read", &path))?;
        Ok(Pins { file, digests: text.lines().map(str::to_owned).collect() })
    }

    /// Holds an image for a session. False when it is not here (any more).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn pin(&self, pins: &mut Pins, digest: &str) -> Result<bool, Error> {
        let _lock = self.lock()?;
        let mut index = self.index()?;
        let Some(entry) = index.images.get_mut(digest) else { return Ok(false) };
        let Some(origin) = &mut entry.origin else { return Ok(true) };
        if !pins.digests.contains(digest) {
            pins.file.seek(std::io::SeekFrom::End(0)).map_err(Error::io("write", "pins"))?;
            pins.file.write_all(format!("{digest}\n").as_bytes()).map_err(Error::io("write", "pins"))?;
            pins.digests.insert(digest.to_owned());
            origin.used = seconds();
            self.write_index(&index)?;
        }
        Ok(true)
    }

    /// What the images that a session holds take: how many they are and their layers' bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn held(&self, pins: &Pins) -> Result<(usize, u64), Error> {
        let index = self.index()?;
        let held = index.images.iter().filter(|(digest, _)| pins.digests.contains(*digest)).map(|(_, entry)| entry);
        Ok((held.clone().count(), layer_bytes(held)))
    }

    /// What all images of the store take: how many they are and their layers' bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn total(&self) -> Result<(usize, u64), Error> {
        let index = self.index()?;
        Ok((index.images.len(), layer_bytes(index.images.values())))
    }

    /// Removes pulled images that no session uses, the longest unused first, until the pulled ones take `budget` bytes
    /// or less, and says what they take then.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sweep(&self, budget: u64) -> Result<Usage, Error> {
        let _lock = self.lock()?;
        let mut index = self.index()?;
        let pinned = self.pinned()?;
        let gone = victims(&index.images, &pinned, budget);
        let removed: Vec<Entry> = gone.iter().filter_map(|digest| index.images.remove(digest)).collect();
        if !removed.is_empty() {
            index.names.retain(|_, digest| !gone.contains(digest));
            // The index first: nobody finds the images any more when their layers go.
            self.write_index(&index)?;
            self.drop_layers(&index, removed.iter().flat_map(|entry| &entry.layers))?;
            tracing::info!(images = removed.len(), "unused images were removed");
        }
        let pulled = index.images.iter().filter(|(_, entry)| entry.origin.is_some());
        let held = pulled.clone().filter(|(digest, _)| pinned.contains(*digest));
        Ok(Usage {
            bytes: layer_bytes(pulled.map(|(_, entry)| entry)),
            pinned: layer_bytes(held.map(|(_, entry)| entry)),
        })
    }

    fn pinned(&self) -> Result<HashSet<String>, Error> {
        let dir = self.dir.join("pins");
        let mut pinned = HashSet::new();
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let file = File::open(&path).map_err(Error::io("open", &path))?;
            if file.try_lock().is_ok() {
                // Its session is over; one that comes back asks for its images again.
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                continue;
            }
            let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
            pinned.extend(text.lines().map(str::to_owned));
        }
        Ok(pinned)
    }
}

fn layer_bytes<'a>(entries: impl Iterator<Item = &'a Entry>) -> u64 {
    let layers: HashMap<&str, u64> =
        entries.flat_map(|entry| &entry.layers).map(|layer| (layer.hex.as_str(), layer.size)).collect();
    layers.values().sum()
}

/// The images to remove: a pure function of what there is.
fn victims(images: &BTreeMap<String, Entry>, pinned: &HashSet<String>, budget: u64) -> HashSet<String> {
    // A layer takes room as long as one pulled image has it.
    let mut users: HashMap<&str, (u64, usize)> = HashMap::new();
    let pulled = || images.iter().filter_map(|(digest, entry)| Some((digest, entry, entry.origin.as_ref()?)));
    for layer in pulled().flat_map(|(_, entry, _)| &entry.layers) {
        users.entry(&layer.hex).or_insert((layer.size, 0)).1 += 1;
    }
    let mut bytes: u64 = users.values().map(|(size, _)| size).sum();
    let mut candidates: Vec<_> = pulled().filter(|(digest, ..)| !pinned.contains(*digest)).collect();
    candidates.sort_by_key(|(digest, _, origin)| (origin.used, (*digest).clone()));
    let mut gone = HashSet::new();
    for (digest, entry, _) in candidates {
        if bytes <= budget {
            break;
        }
        for layer in &entry.layers {
            if let Some((size, count)) = users.get_mut(layer.hex.as_str()) {
                *count -= 1;
                if *count == 0 {
                    bytes -= *size;
                }
            }
        }
        gone.insert(digest.clone());
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::super::{LayerRef, Origin};
    use super::*;

    fn image(layers: &[(&str, u64)], used: Option<u64>) -> Entry {
        let layers = layers.iter().map(|(hex, size)| LayerRef { hex: (*hex).to_owned(), size: *size }).collect();
        Entry { config: Default::default(), layers, origin: used.map(|used| Origin { used, ..Origin::default() }) }
    }

    #[track_caller]
    fn check(pinned: &[&str], budget: u64, expected: &[&str]) {
        let images: BTreeMap<String, Entry> = [
            ("imported".to_owned(), image(&[("base", 100), ("i", 50)], None)),
            ("old".to_owned(), image(&[("base", 100), ("a", 10)], Some(1))),
            ("middle".to_owned(), image(&[("shared", 40), ("b", 10)], Some(2))),
            ("new".to_owned(), image(&[("shared", 40), ("c", 10)], Some(3))),
        ]
        .into();
        let pinned = pinned.iter().map(|name| (*name).to_owned()).collect();
        let mut gone: Vec<_> = victims(&images, &pinned, budget).into_iter().collect();
        gone.sort();
        assert_eq!(gone, expected, "pinned {pinned:?}, budget {budget}");
    }

    #[test]
    fn the_longest_unused_go_first_and_shared_layers_count_once() {
        check(&[], 170, &[]);
        check(&[], 169, &["old"]);
        check(&[], 60, &["old"]);
        check(&[], 59, &["middle", "old"]);
        check(&[], 49, &["middle", "new", "old"]);
        check(&["old"], 160, &["middle"]);
        check(&["old", "middle", "new"], 0, &[]);
    }
}
