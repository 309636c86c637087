//! The rows that are served, found by group, version and plural name.

use std::collections::HashMap;

use crate::registry;
use crate::row::Resource;

/// The served rows.
pub(crate) struct Rows {
    all: Vec<&'static Resource>,
    by_path: HashMap<(&'static str, &'static str, &'static str), &'static Resource>,
}

impl Rows {
    /// The built-in rows.
    pub(crate) fn builtin() -> Self {
        let all = registry::all().to_vec();
        let by_path = all.iter().map(|row| ((row.group, row.version, row.plural), *row)).collect();
        Self { all, by_path }
    }

    /// The row of a path.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
        self.by_path.get(&(group, version, plural)).copied()
    }

    /// All rows in discovery order.
    pub(crate) fn all(&self) -> &[&'static Resource] {
        &self.all
    }
}
