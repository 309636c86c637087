//! Compiled expressions, kept: the same few are evaluated for every request.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::cel::patch::{self, Patch};
use crate::cel::{self, Error, Program};

/// More than this are forgotten all at once; policies change seldom.
const KEPT: usize = 512;

type Kept<T> = LazyLock<Mutex<HashMap<(String, usize), Arc<Result<T, Error>>>>>;

static RULES: Kept<Program> = LazyLock::new(Mutex::default);
static PATCHES: Kept<Patch> = LazyLock::new(Mutex::default);

/// An expression whose value is anything.
pub(super) fn rule(source: &str, variables: &'static [&'static str]) -> Arc<Result<Program, Error>> {
    kept(&RULES, source, variables, cel::compile)
}

/// An expression whose value is a patch.
pub(super) fn change(source: &str, variables: &'static [&'static str]) -> Arc<Result<Patch, Error>> {
    kept(&PATCHES, source, variables, patch::compile)
}

fn kept<T>(
    all: &Kept<T>,
    source: &str,
    variables: &'static [&'static str],
    compile: fn(&str, &[&str]) -> Result<T, Error>,
) -> Arc<Result<T, Error>> {
    let key = (source.to_owned(), variables.len());
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = all.get(&key) {
        return Arc::clone(found);
    }
    if all.len() >= KEPT {
        all.clear();
    }
    let made = Arc::new(compile(source, variables));
    all.insert(key, Arc::clone(&made));
    made
}
