//! The genuine kubectl that learners type into: the one on PATH, else an official release, else Debian's newest.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{clients, tools};

/// The release that is fetched when PATH has none.
const VERSION: &str = "v1.36.2";

/// The program to put into the bundle.
///
/// # Errors
/// One sentence that says how to get kubectl.
pub(crate) fn locate(cache: &Path) -> anyhow::Result<PathBuf> {
    if let Some(found) = tools::find("kubectl") {
        return found.canonicalize().with_context(|| format!("cannot resolve {}", found.display()));
    }
    let cached = cache.join(format!("kubectl-{VERSION}"));
    if cached.is_file() {
        return Ok(cached);
    }
    let Err(error) = fetch(&cached) else { return Ok(cached) };
    // Where the official releases cannot be reached, a mirror of Debian often can.
    eprintln!("      the official kubectl cannot be fetched ({error:#}); trying Debian's");
    clients::debian_kubectl(cache).map_err(|_| error).context(
        "kubectl is not on PATH and the official release cannot be fetched: \
         install kubectl (https://kubernetes.io/docs/tasks/tools/) and run this again",
    )
}

fn fetch(target: &Path) -> anyhow::Result<()> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("there is no official kubectl for {other}"),
    };
    let address = format!("https://dl.k8s.io/release/{VERSION}/bin/linux/{architecture}/kubectl");
    let partial = target.with_extension("partial");
    let get = |address: &str, file: &Path| {
        tools::run(
            Command::new("curl")
                .args(["--fail", "--silent", "--show-error", "--location", "--max-time", "300", "--output"])
                .arg(file)
                .arg(address),
        )
    };
    get(&address, &partial)?;
    let checksum = target.with_extension("sha256");
    get(&format!("{address}.sha256"), &checksum)?;
    let expected = std::fs::read_to_string(&checksum)?;
    let actual = tools::sha256(std::fs::File::open(&partial)?)?;
    if expected.trim() != actual {
        bail!("the download of {address} does not match its checksum");
    }
    std::fs::set_permissions(&partial, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    std::fs::rename(&partial, target)?;
    Ok(())
}
