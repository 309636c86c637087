//! `cargo xtask test`: every test, on the real parts.

use std::path::Path;
use std::process::Command;

use crate::progress::Progress;
use crate::{build, clients, docker, rerun, soak, tools};

/// What `test` may be told.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Only unit and component tests, without those of the whole product: clusters with genuine kubectl, clean-up, the
    /// browser journey.
    #[arg(long)]
    quick: bool,
    /// Only those of the whole product.
    #[arg(long, conflicts_with = "quick")]
    product: bool,
}

/// Programs that tests run beside our own, with the Debian packages that carry them.
const PEERS: [(&str, &str); 6] = [
    ("etcd", "etcd-server"),
    ("etcdctl", "etcd-client"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("busybox", "busybox-static"),
    ("e2fsck", "e2fsprogs"),
];
/// What the browser journey needs.
const BROWSER: [(&str, &str); 2] = [("chromium", "chromium"), ("chromedriver", "chromium-driver")];
/// Fonts without which screenshots of Chinese pages show boxes.
const FONT: &str = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc";

/// Installs what is missing, builds the product and runs every test against it.
///
/// # Errors
/// When something is missing that cannot be installed, or a test fails.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let progress = Progress::new(match options {
        Options { quick: true, .. } => 3,
        Options { product: true, .. } => 7,
        _ => 8,
    });
    progress.step("test peers (etcd, nftables)", || tools::require(&PEERS))?;
    progress.step("Docker, for nodes that are containers", docker::start)?;
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.current_dir(tools::root()).args(["test", "--locked"]).args(arguments);
        command
    };
    if !options.product {
        progress.step("unit and component tests", || {
            tools::run(&mut cargo(&[
                "--workspace",
                "--exclude",
                "drydock-tests-integration",
                "--exclude",
                "drydock-tests-clients",
                "--exclude",
                "drydock-tests-browser",
            ]))
        })?;
    }
    if options.quick {
        return Ok(());
    }
    progress.step("browser", || {
        tools::require(&BROWSER)?;
        if tools::is_root() && !Path::new(FONT).is_file() { tools::install(&["fonts-noto-cjk"]) } else { Ok(()) }
    })?;
    let peers = progress.step("clients (kubectl of two versions, Helm)", clients::locate)?;
    let drydock = build::release()?;
    let with_product = |package: &str| {
        let mut command = cargo(&["--package", package]);
        command.env("DRYDOCK_TEST_BINARY", &drydock);
        command
    };
    progress.step("clusters with genuine kubectl", || {
        rerun::run(|| with_product("drydock-tests-integration"))?;
        rerun::run(|| {
            let mut tables = with_product("drydock-tests-clients");
            tables.envs(peers.environment());
            tables
        })
    })?;
    progress.step("a short soak: everything goes wrong at once", || soak::run(&soak::Options::short()))?;
    progress.step("browser journey", || rerun::run(|| with_product("drydock-tests-browser")))
}
