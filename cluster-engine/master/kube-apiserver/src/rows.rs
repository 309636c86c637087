//! The rows that are served, found by group, version and plural name: the built-in ones and those of custom resources.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::registry;
use crate::row::Resource;

/// The served rows. What is served changes when a definition does.
pub(crate) struct Rows {
    table: RwLock<Arc<Table>>,
    /// Counts the changes.
    changed: tokio::sync::watch::Sender<u64>,
}

struct Table {
    all: Vec<&'static Resource>,
    by_path: HashMap<(&'static str, &'static str, &'static str), &'static Resource>,
}

impl Table {
    fn new(custom: &[&'static Resource]) -> Arc<Self> {
        let mut all = registry::all().to_vec();
        // A definition cannot take a built-in kind's place.
        all.extend(
            custom
                .iter()
                .filter(|row| !registry::all().iter().any(|own| own.group == row.group && own.plural == row.plural)),
        );
        let by_path = all.iter().map(|row| ((row.group, row.version, row.plural), *row)).collect();
        Arc::new(Self { all, by_path })
    }
}

impl Rows {
    /// The built-in rows.
    pub(crate) fn builtin() -> Self {
        Self { table: RwLock::new(Table::new(&[])), changed: tokio::sync::watch::Sender::new(0) }
    }

    /// Replaces the rows of custom resources.
    pub(crate) fn set_custom(&self, rows: Vec<&'static Resource>) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Table::new(&rows);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Tells when what is served has changed.
    pub(crate) fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The row of a path.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
        self.table().by_path.get(&(group, version, plural)).copied()
    }

    /// All rows in discovery order.
    pub(crate) fn all(&self) -> Vec<&'static Resource> {
        self.table().all.clone()
    }
}
