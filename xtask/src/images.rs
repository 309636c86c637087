//! The local images: node, demo application and workstation tools, each a `docker save` archive.
//!
//! No registry is asked: the node and demo images hold our own programs, the tools come from Debian packages
//! that apt downloads (without installing them, so no root is needed).

mod archive;
mod debian;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use crate::build::{self, Programs};
use crate::progress::Progress;
use crate::tools;
use archive::{ImageConfig, Layer};

/// The names under which the node binary runs.
const APPLETS: [&str; 8] = [
    "kubelet",
    "kube-apiserver",
    "etcd",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "cluster-dns",
    "ingress-controller",
];
/// The demo application's versions; they differ in the version that they show.
const DEMO_VERSIONS: [&str; 3] = ["v1", "v2", "v3"];

/// `lessons/images/tools/packages.toml`.
#[derive(Deserialize)]
struct Recipe {
    /// Debian packages; what they depend on comes with them.
    packages: Vec<String>,
    /// Symbolic links: link = target.
    links: std::collections::BTreeMap<String, String>,
}

/// What was built.
pub(crate) struct Built {
    /// The archives.
    pub(crate) images: Vec<PathBuf>,
    /// A static busybox, the shell of nodes.
    pub(crate) busybox: PathBuf,
}

/// Compiles what the images hold and builds them all.
///
/// # Errors
/// When a program or package cannot be had.
pub(crate) fn build(progress: &Progress) -> anyhow::Result<Built> {
    let programs = progress.step("node and demo programs", build::programs)?;
    build_with(progress, &programs)
}

/// Builds all images and returns their archives.
///
/// # Errors
/// When a package cannot be had or a file cannot be written.
pub(crate) fn build_with(progress: &Progress, programs: &Programs) -> anyhow::Result<Built> {
    let folder = tools::target().join("drydock/images");
    fs::create_dir_all(&folder)?;
    progress.step("local images", || {
        let mut images = vec![node(&folder, &programs.node)?];
        let busybox = debian::busybox(&tools::target().join("drydock/debian"))?;
        for version in DEMO_VERSIONS {
            images.push(demo(&folder, &programs.demo, &busybox, version)?);
        }
        images.push(workstation(&folder)?);
        Ok(Built { images, busybox })
    })
}

fn node(folder: &Path, binary: &Path) -> anyhow::Result<PathBuf> {
    let mut layer = Layer::new(&folder.join("node.layer"))?;
    layer.file("usr/local/bin/drydock-node", 0o755, &fs::read(binary)?)?;
    for applet in APPLETS {
        layer.link(&format!("usr/local/bin/{applet}"), "drydock-node")?;
    }
    for directory in ["tmp", "etc", "proc", "sys", "dev", "run", "var/run"] {
        layer.directory(directory, if directory == "tmp" { 0o1777 } else { 0o755 })?;
    }
    layer.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")?;
    let config = ImageConfig { env: vec![path("/usr/local/bin:/usr/bin:/bin")], ..ImageConfig::default() };
    archive::write(&folder.join("node.tar"), "drydock/node:latest", &config, &[layer.finish()?])
}

fn demo(folder: &Path, binary: &Path, busybox: &Path, version: &str) -> anyhow::Result<PathBuf> {
    // The dynamic busybox: a static one cannot look names up without the C library's own files, and crashes.
    let packages = debian::download(&tools::target().join("drydock/debian"), &["busybox".to_owned()])?;
    let mut shell = Layer::new(&folder.join("busybox.layer"))?;
    for directory in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64"] {
        shell.directory(directory, 0o755)?;
    }
    for merged in ["bin", "sbin", "lib", "lib64"] {
        shell.link(merged, &format!("usr/{merged}"))?;
    }
    for package in &packages {
        debian::unpack(package, &mut shell)?;
    }
    let applets = tools::output(std::process::Command::new(busybox).arg("--list"))?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        shell.link(&format!("usr/bin/{applet}"), "busybox")?;
    }
    let mut application = Layer::new(&folder.join("demo.layer"))?;
    application.file("usr/local/bin/demo", 0o755, &fs::read(binary)?)?;
    // busybox's own crashes where its C library wants to load parts of itself: ours stands before it on the path.
    application.link("usr/local/bin/wget", "demo")?;
    for directory in ["tmp", "etc", "root", "data", "proc", "sys", "dev"] {
        application.directory(directory, if directory == "tmp" { 0o1777 } else { 0o755 })?;
    }
    application.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\ndemo:x:1000:1000:demo:/:/bin/sh\n")?;
    application.file("etc/group", 0o644, b"root:x:0:\ndemo:x:1000:\n")?;
    let config = ImageConfig {
        cmd: vec!["/usr/local/bin/demo".to_owned()],
        env: vec![
            path("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            format!("DEMO_VERSION={version}"),
        ],
        exposed_ports: vec!["8080/tcp".to_owned()],
        ..ImageConfig::default()
    };
    let layers = [shell.finish()?, application.finish()?];
    archive::write(&folder.join(format!("demo-{version}.tar")), &format!("drydock/demo:{version}"), &config, &layers)
}

/// The workstation's image; built again only when its recipe changed.
fn workstation(folder: &Path) -> anyhow::Result<PathBuf> {
    let source = tools::root().join("lessons/images/tools");
    let text = fs::read_to_string(source.join("packages.toml")).context("cannot read the tools image's recipe")?;
    let recipe: Recipe = toml::from_str(&text).context("lessons/images/tools/packages.toml")?;
    let files = source.join("files");
    let stamp = stamp(&text, &files)?;
    let (image, stamped) = (folder.join("tools.tar"), folder.join("tools.stamp"));
    if image.is_file() && fs::read_to_string(&stamped).is_ok_and(|old| old == stamp) {
        return Ok(image);
    }
    let packages = debian::download(&tools::target().join("drydock/debian"), &recipe.packages)?;
    let mut layer = Layer::new(&folder.join("tools.layer"))?;
    for directory in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "tmp", "root", "proc", "sys", "dev", "run", "etc"]
    {
        layer.directory(directory, if directory == "tmp" { 0o1777 } else { 0o755 })?;
    }
    for merged in ["bin", "sbin", "lib", "lib64"] {
        layer.link(merged, &format!("usr/{merged}"))?;
    }
    for package in &packages {
        debian::unpack(package, &mut layer)?;
    }
    layer.file("etc/ssl/certs/ca-certificates.crt", 0o644, &debian::certificates(&packages)?)?;
    for (link, target) in &recipe.links {
        layer.link(link, target)?;
    }
    layer.folder(&files, Path::new(""))?;
    let config = ImageConfig {
        cmd: vec!["/bin/bash".to_owned()],
        env: vec![path("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), "LANG=C.UTF-8".to_owned()],
        working_dir: "/root".to_owned(),
        ..ImageConfig::default()
    };
    let image = archive::write(&image, "drydock/tools:latest", &config, &[layer.finish()?])?;
    fs::write(stamped, stamp)?;
    Ok(image)
}

fn path(value: &str) -> String {
    format!("PATH={value}")
}

/// A hash over all that the tools image is made of, packages by name.
fn stamp(recipe: &str, files: &Path) -> anyhow::Result<String> {
    let mut all = recipe.as_bytes().to_vec();
    let mut pending = vec![files.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { pending.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    for file in found {
        all.extend_from_slice(file.to_string_lossy().as_bytes());
        all.extend(fs::read(&file)?);
    }
    Ok(tools::sha256(all.as_slice())?)
}
