//! Composes the app's recurring class lists with tailwind-rs and writes them as constants.
//!
//! The work happens here and not in the browser, so tailwind-rs costs no byte of wasm. The generated file is also
//! what Tailwind reads to know that these classes are used (see `xtask/web/src/style.rs`).

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

#[path = "classes/recipes.rs"]
mod recipes;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    for (name, doc, classes) in recipes::all() {
        let mut list: Vec<String> = classes.build_string().split_whitespace().map(str::to_owned).collect();
        // tailwind-rs keeps classes in hash maps; a build must come out the same each time.
        list.sort_unstable();
        list.dedup();
        writeln!(text, "/// {doc}\npub const {name}: &str = {:?};", list.join(" "))?;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("classes.rs"), text)?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=classes");
    Ok(())
}
