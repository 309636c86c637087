//! Builds the probe of the escape tests: a static program that runs in any image and on any node.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=probe/main.rs");
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    let probe = Path::new(&out).join("probe");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let flags = ["--edition=2024", "-Ctarget-feature=+crt-static", "-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols"];
    let status = Command::new(rustc).args(flags).arg("-o").arg(&probe).arg("probe/main.rs").status();
    assert!(status.is_ok_and(|status| status.success()), "the probe cannot be built");
    println!("cargo::rustc-env=ESCAPE_PROBE={}", probe.display());
}
