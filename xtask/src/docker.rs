//! A Docker daemon for the tests: installed and started where there is none.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::tools;

/// Where a daemon listens.
const SOCKET: &str = "/var/run/docker.sock";
/// How long a daemon may take to start.
const START: Duration = Duration::from_secs(60);

/// Makes sure that a daemon answers. Without root only one that is there can be used; the tests say so when there is none.
///
/// # Errors
/// When it cannot be installed or does not start.
pub(crate) fn start() -> anyhow::Result<()> {
    // Who names a daemon has one.
    if std::env::var_os("DOCKER_HOST").is_some() || answers() || !tools::is_root() {
        return Ok(());
    }
    tools::require(&[("dockerd", "docker.io")])?;
    if answers() {
        // The package's own service.
        return Ok(());
    }
    let dockerd = tools::find("dockerd").context("dockerd is not on PATH")?;
    let path = tools::target().join("drydock/dockerd.log");
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    // It outlives this command, as the service would.
    let mut daemon = Command::new(dockerd)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("cannot start dockerd")?;
    let deadline = Instant::now() + START;
    while !answers() {
        if let Some(status) = daemon.try_wait()? {
            let said = fs::read_to_string(&path).unwrap_or_default();
            bail!("dockerd ended with {status}: {}", said.lines().last().unwrap_or("it said nothing"));
        }
        if Instant::now() > deadline {
            bail!("dockerd does not answer; see {}", path.display());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Whether a daemon answers at the usual place.
fn answers() -> bool {
    let ping = || {
        let mut stream = UnixStream::connect(SOCKET)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    ping().is_ok_and(|answer| answer.contains(" 200 "))
}
