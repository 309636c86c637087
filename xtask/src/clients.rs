//! Genuine clients for `tests/clients`: the newest kubectl and an old one, Helm's library.
//!
//! The kubectls are Debian's, from its archive's signed lists, unpacked below the target folder and not installed; Helm is the wheel
//! `helm-sdkpy` of PyPI. What cannot be had is told in a line, and the tests go on with what there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::tools;

/// An old kubectl, which speaks SPDY and reads OpenAPI v2, where Google's SDK is installed.
const OLD: &str = "/usr/lib/google-cloud-sdk/bin/kubectl.1.28";
/// Where Debian's archive is.
const MIRROR: &str = "http://deb.debian.org/debian";
/// The keys that its lists are signed with.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A wheel of PyPI.
struct Wheel {
    name: &'static str,
    version: &'static str,
    sha256: &'static str,
    /// Where the library lies in it.
    library: &'static str,
}

/// Helm 4 as a Go library. The wheel's metadata wants Python 3.12; the library itself wants none.
const HELM: Wheel = Wheel {
    name: "helm-sdkpy",
    version: "0.1.32",
    sha256: "bcf5bf73cacc373bebedfb9c988969aa12a9eda86a140deba658fbf28eb789c5",
    library: "helm_sdkpy/_lib/linux-amd64/libhelm_sdkpy.so",
};

/// What was found.
pub(crate) struct Clients {
    /// Newest first.
    pub(crate) kubectls: Vec<PathBuf>,
    /// Helm's library.
    pub(crate) helm: Option<PathBuf>,
}

impl Clients {
    /// What the tests are told.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = Vec::new();
        if !self.kubectls.is_empty() {
            let list: Vec<String> = self.kubectls.iter().map(|file| file.display().to_string()).collect();
            variables.push(("DRYDOCK_TEST_KUBECTLS", list.join(":")));
        }
        if let Some(helm) = &self.helm {
            variables.push(("DRYDOCK_TEST_HELM", helm.display().to_string()));
        }
        variables
    }
}

/// Fetches what is not there yet.
///
/// # Errors
/// When the target folder cannot be used.
pub(crate) fn locate() -> anyhow::Result<Clients> {
    let folder = tools::target().join("drydock/clients");
    fs::create_dir_all(&folder)?;
    let told = |what: &str, found: anyhow::Result<PathBuf>| match found {
        Ok(file) => Some(file),
        Err(error) => {
            eprintln!("      {what} cannot be had, its tests are left out: {error:#}");
            None
        }
    };
    let newest = told("the newest kubectl", debian_kubectl(&folder)).or_else(|| tools::find("kubectl"));
    let old = match Path::new(OLD) {
        file if file.is_file() => Some(file.to_owned()),
        _ => told("an old kubectl", debian(&folder, "kubernetes-client", "bookworm")),
    };
    let helm = told("Helm", HELM.fetch(&folder));
    Ok(Clients { kubectls: newest.into_iter().chain(old).collect(), helm })
}

/// The newest kubectl that Debian has.
///
/// # Errors
/// When the machine is no Debian or the package cannot be fetched.
pub(crate) fn debian_kubectl(folder: &Path) -> anyhow::Result<PathBuf> {
    debian(folder, "kubectl", "forky")
}

/// The kubectl of a Debian package of another release than the machine's own.
fn debian(folder: &Path, package: &str, release: &str) -> anyhow::Result<PathBuf> {
    let unpacked = folder.join(release);
    let program = unpacked.join("usr/bin/kubectl");
    if program.is_file() {
        return Ok(program);
    }
    ensure!(tools::find("apt-get").is_some(), "this is no Debian");
    ensure!(Path::new(KEYS).is_file(), "there is no {KEYS}");
    // Lists and packages of their own: nothing of the machine's apt is touched, and apt checks the signatures.
    let state = folder.join(format!("{release}.apt"));
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(state.join(part))?;
    }
    let sources = state.join("sources.list");
    fs::write(&sources, format!("deb [signed-by={KEYS}] {MIRROR} {release} main\n"))?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        let set = |name: &str, path: &Path| format!("{name}={}", path.display());
        let options = [
            set("Dir::State", &state),
            set("Dir::State::lists", &state.join("lists")),
            set("Dir::Cache", &state.join("cache")),
            set("Dir::Etc::sourcelist", &sources),
            "Dir::State::status=/dev/null".to_owned(),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Acquire::Languages=none".to_owned(),
            // A mirror may be some days behind; who signed its lists is checked all the same.
            "Acquire::Check-Valid-Until=false".to_owned(),
            "Debug::NoLocking=true".to_owned(),
        ];
        options.iter().for_each(|option| {
            command.arg("-o").arg(option);
        });
        if tools::is_root() {
            command.args(["-o", "APT::Sandbox::User=root"]);
        }
        command.current_dir(&state).args(["-qq"]).args(arguments);
        command
    };
    tools::output(&mut apt(&["update"]))?;
    tools::output(&mut apt(&["download", package]))?;
    let archive = fs::read_dir(&state)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get downloaded nothing")?;
    let partial = folder.join(format!("{release}.partial"));
    let _ = fs::remove_dir_all(&partial);
    tools::run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&partial))?;
    fs::rename(&partial, &unpacked)?;
    fs::remove_dir_all(&state)?;
    ensure!(program.is_file(), "the package {package} of {release} has no kubectl");
    Ok(program)
}

impl Wheel {
    fn fetch(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let unpacked = folder.join(format!("{}-{}", self.name, self.version));
        let library = unpacked.join(self.library);
        if library.is_file() {
            return Ok(library);
        }
        ensure!(std::env::consts::ARCH == "x86_64", "there is none for {}", std::env::consts::ARCH);
        tools::require(&[("python3", "python3")])?;
        let file = format!("{}-{}-py3-none-any.whl", self.name.replace('-', "_"), self.version);
        let wheel = folder.join(&file);
        let curl = || {
            let mut command = Command::new("curl");
            command.args(["--fail", "--silent", "--show-error", "--location", "--max-time", "300"]);
            command
        };
        let index = tools::output(curl().arg(format!("https://pypi.org/simple/{}/", self.name)))?;
        let address = link(&index, &file).with_context(|| format!("PyPI no longer has {file}"))?;
        tools::run(curl().arg("--output").arg(&wheel).arg(address))?;
        let digest = tools::sha256(fs::File::open(&wheel)?)?;
        ensure!(digest == self.sha256, "{file} has not the expected digest");
        let partial = unpacked.with_extension("partial");
        let _ = fs::remove_dir_all(&partial);
        // A wheel is a zip file.
        tools::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&partial))?;
        fs::rename(&partial, &unpacked)?;
        fs::remove_file(&wheel)?;
        Ok(library)
    }
}

/// Where a package's page leads for a file.
fn link<'a>(page: &'a str, file: &str) -> Option<&'a str> {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.filter_map(|link| link.split('#').next()).find(|link| link.ends_with(&format!("/{file}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        let page = "<a href=\"https://x/a/y-1.tar.gz#sha256=0\">y-1</a>\n<a href=\"https://x/b/y-1.whl#sha256=0\" data-x=\"1\">y</a>";
        assert_eq!(link(page, "y-1.whl"), Some("https://x/b/y-1.whl"));
        assert_eq!(link(page, "-1.whl"), None);
    }
}
