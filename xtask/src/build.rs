//! `cargo xtask build`: web app, node binary, images and lessons, packed into one `drydock` file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::progress::Progress;
use crate::{images, kubectl, tools};

/// Builds everything and returns `target/release/drydock`.
///
/// # Errors
/// When a step fails; what it needed is named.
pub(crate) fn release() -> anyhow::Result<PathBuf> {
    let progress = Progress::new(5);
    let target = tools::target();
    let work = target.join("drydock");
    let bundle = work.join("bundle");
    fs::create_dir_all(&work)?;
    let web = drydock_web_build::Options::new(tools::root());
    progress.step("web app (Leptos, Wasm)", || drydock_web_build::build(&web, &|line| eprintln!("      {line}")))?;
    let programs = progress.step("drydock, node and demo programs", programs)?;
    let kubectl = progress.step("kubectl", || kubectl::locate(&work))?;
    let output = target.join("release/drydock");
    let stamp = work.join("inputs");
    let inputs = inputs(&[&web.dist, &tools::root().join("lessons"), &kubectl], &programs)?;
    if output.is_file() && fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == inputs) {
        eprintln!("{} is up to date after {:.0} s", output.display(), progress.seconds());
        return Ok(output);
    }
    let _ = fs::remove_file(&stamp);
    let built = images::build_with(&progress, &programs)?;
    progress.step("one file", || {
        let _ = fs::remove_dir_all(&bundle);
        fs::create_dir_all(bundle.join("bin"))?;
        fs::create_dir_all(bundle.join("images"))?;
        place(&programs.node, &bundle.join("bin/drydock-node"))?;
        place(&kubectl, &bundle.join("bin/kubectl"))?;
        place(&built.busybox, &bundle.join("bin/busybox"))?;
        for image in &built.images {
            place(image, &bundle.join("images").join(image.file_name().context("an image file has a name")?))?;
        }
        copy_folder(&web.dist, &bundle.join("web"))?;
        copy_folder(&tools::root().join("lessons"), &bundle.join("lessons"))?;
        fs::create_dir_all(target.join("release"))?;
        Ok(drydock_bundle::append(&programs.drydock, &bundle, &output)?)
    })?;
    fs::write(&stamp, inputs)?;
    let size = fs::metadata(&output)?.len() / 1_000_000;
    eprintln!("built {} ({size} MB) in {:.0} s", output.display(), progress.seconds());
    Ok(output)
}

/// What the one file is made of: every file with its size and the time of its last change.
fn inputs(folders: &[&Path], programs: &Programs) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    waiting.extend([programs.drydock.clone(), programs.node.clone(), programs.demo.clone()]);
    // What the programs of xtask itself do with them counts too.
    waiting.push(std::env::current_exe()?);
    while let Some(path) = waiting.pop() {
        let data = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if data.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        } else {
            let changed = data.modified()?.duration_since(std::time::UNIX_EPOCH)?.as_nanos();
            lines.push(format!("{} {} {changed}\n", path.display(), data.len()));
        }
    }
    lines.sort_unstable();
    Ok(lines.concat())
}

/// The programs that were compiled.
pub(crate) struct Programs {
    /// The backend and command line, without its bundle.
    pub(crate) drydock: PathBuf,
    /// The multi-call binary of the nodes.
    pub(crate) node: PathBuf,
    /// The demo application of the lessons.
    pub(crate) demo: PathBuf,
}

/// Statically linked, for the programs run in images that hold nothing else; and at a fixed address: a program that
/// can be moved has its tables of addresses written anew in every process, which no two processes then share.
const STATIC: &str = "-C target-feature=+crt-static -C relocation-model=static";
/// What the Rust toolchain's own linker, the default there, can do besides: keep one of several equal functions.
const FOLD: (&str, &str) = ("x86_64-unknown-linux-gnu", " -C link-arg=-Wl,--icf=all");

/// Compiles the native programs.
///
/// # Errors
/// When cargo fails.
pub(crate) fn programs() -> anyhow::Result<Programs> {
    let triple = tools::host_triple()?;
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
    let target = tools::target();
    tools::run(
        Command::new("cargo")
            .current_dir(tools::root())
            .env(flags, format!("{STATIC}{}", if triple == FOLD.0 { FOLD.1 } else { "" }))
            .args(["build", "--release", "--locked", "--target", &triple])
            .args(["--package", "drydock", "--package", "drydock-node", "--package", "drydock-demo"]),
    )?;
    let folder = target.join(&triple).join("release");
    Ok(Programs {
        drydock: folder.join("drydock"),
        node: folder.join("drydock-node"),
        demo: folder.join("drydock-demo"),
    })
}

/// Hard-links a file, or copies it where that is not possible.
fn place(from: &Path, to: &Path) -> anyhow::Result<()> {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        // Rust packages among the lessons' images are built, not shipped as source.
        if source.join("Cargo.toml").is_file() {
            continue;
        }
        if entry.file_type()?.is_dir() { copy_folder(&source, &target)? } else { place(&source, &target)? }
    }
    Ok(())
}
