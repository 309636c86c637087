//! The Docker daemon: how to reach it, what it must be able to do, and running our processes in its containers.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker as Client;
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, ExecConfig, HostConfig, Mount, MountType, SystemInfo};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    WaitContainerOptions,
};
use drydock_engine::host::HostError;
use drydock_supervisor::hosting::{self, failed};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::stream::ProcessStream;
use crate::{labels, profile};

/// The node binary in the node image.
pub(crate) const BINARY: &str = "/usr/local/bin/drydock-node";
/// How long the daemon may take for one answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it may take to answer for the first time.
const FIRST_WORD: Duration = Duration::from_secs(5);
/// Most bytes of output of a helper that are kept.
const OUTPUT: u64 = 2 << 20;
/// Bytes of a frame of output.
const FRAME: usize = 64 * 1024;

/// Docker's answer for what is not there.
pub(crate) fn is_missing(error: &bollard::errors::Error) -> bool {
    status(error) == Some(404)
}

/// The HTTP status with which the daemon refused.
pub(crate) fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Connects to where `DOCKER_HOST` points, else to the usual socket. Nothing is sent yet.
pub(crate) fn connect() -> Result<Client, HostError> {
    let client = match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => Client::connect_with_host(&host),
        _ => Client::connect_with_local_defaults(),
    };
    let client = client.map_err(|error| {
        HostError::Unsupported(format!(
            "there is no way to Docker ({error}): install and start Docker, or set DOCKER_HOST"
        ))
    })?;
    Ok(client.with_timeout(PATIENCE))
}

/// What the daemon is, when it can run nodes.
///
/// # Errors
/// One sentence on what is missing.
pub(crate) async fn examine(client: &Client) -> Result<SystemInfo, HostError> {
    let info = match tokio::time::timeout(FIRST_WORD, client.info()).await {
        Ok(Ok(info)) => info,
        Ok(Err(error)) => {
            let sentence = format!("Docker does not answer ({error}): install and start Docker, or set DOCKER_HOST");
            return Err(HostError::Unsupported(sentence));
        }
        Err(_) => {
            let sentence = format!("Docker does not answer within {} s: is it stopped?", FIRST_WORD.as_secs());
            return Err(HostError::Unsupported(sentence));
        }
    };
    match lacks(&info) {
        Some(sentence) => Err(HostError::Unsupported(sentence)),
        None => Ok(info),
    }
}

fn lacks(info: &SystemInfo) -> Option<String> {
    let kind = info.os_type.as_deref().unwrap_or_default();
    if kind != "linux" {
        return Some(format!("Docker runs {kind} containers: switch it to Linux containers"));
    }
    for option in info.security_options.iter().flatten() {
        if option.split(',').any(|part| matches!(part, "name=userns" | "name=rootless")) {
            return Some(
                "this Docker gives containers user ids of their own (rootless or userns-remap), which leaves none for \
                 nodes: use a Docker that does not"
                    .to_owned(),
            );
        }
    }
    let release = info.kernel_version.as_deref().unwrap_or_default();
    hosting::needs_kernel(release)
        .map(|oldest| format!("Docker's Linux {release} is too old: nodes need {oldest} or newer"))
}

/// A volume in a container.
pub(crate) fn volume(name: &str, target: &str, read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(name.to_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        ..Mount::default()
    }
}

/// Only what has all of these labels.
pub(crate) fn filter(wanted: &[(&str, &str)]) -> HashMap<String, Vec<String>> {
    let wanted = wanted
        .iter()
        .map(|(name, value)| if value.is_empty() { (*name).to_owned() } else { format!("{name}={value}") });
    HashMap::from([("label".to_owned(), wanted.collect())])
}

/// Runs a program of ours in a running container and gives its streams.
pub(crate) async fn run_inside(
    client: &Client,
    container: &str,
    argv: &[&str],
) -> Result<ProcessStream, bollard::errors::Error> {
    let exec = ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(argv.iter().map(|argument| (*argument).to_owned()).collect()),
        ..ExecConfig::default()
    };
    let exec = client.create_exec(container, exec).await?;
    let options = StartExecOptions { output_capacity: Some(FRAME), ..StartExecOptions::default() };
    match client.start_exec(&exec.id, Some(options)).await? {
        StartExecResults::Attached { output, input } => Ok(ProcessStream::new(output, input)),
        StartExecResults::Detached => Err(bollard::errors::Error::DockerStreamError { error: "detached".to_owned() }),
    }
}

/// What a helper's container may.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// No more than any.
    Usual,
    /// Mount the disks of nodes.
    Disks,
}

/// Runs a program of the node image to its end in a container of its own and gives what it wrote.
pub(crate) async fn run_helper(
    client: &Client,
    (image, rights): (&str, Rights),
    instance: &str,
    mounts: Vec<Mount>,
    argv: &[&str],
    input: Option<&mut (dyn AsyncRead + Unpin + Send)>,
) -> Result<Vec<u8>, HostError> {
    let action = format!("run {} in a container", argv.first().copied().unwrap_or_default());
    let fail = |error: bollard::errors::Error| failed(&action, error);
    let mut host_config =
        HostConfig { mounts: Some(mounts), network_mode: Some("none".to_owned()), ..HostConfig::default() };
    if rights == Rights::Disks {
        let security = client.info().await.map_err(fail)?.security_options.unwrap_or_default();
        host_config.cap_add = Some(vec![profile::MOUNTING.to_owned()]);
        host_config.device_cgroup_rules = Some(profile::DEVICES.map(str::to_owned).to_vec());
        host_config.security_opt = Some(profile::security_options(&security));
    }
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![BINARY.to_owned()]),
        cmd: Some(argv.iter().map(|argument| (*argument).to_owned()).collect()),
        labels: Some(HashMap::from([(labels::INSTANCE.to_owned(), instance.to_owned())])),
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    };
    let options =
        CreateContainerOptionsBuilder::default().name(&format!("drydock-helper-{:08x}", rand::random::<u32>()));
    let id = client.create_container(Some(options.build()), body).await.map_err(fail)?.id;
    let outcome = attended(client, &id, input).await;
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    client
        .remove_container(&id, Some(options))
        .await
        .or_else(|error| if is_missing(&error) { Ok(()) } else { Err(error) })
        .map_err(fail)?;
    match outcome.map_err(fail)? {
        (0, output, _) => Ok(output),
        (code, _, complaint) if complaint.is_empty() => Err(failed(&action, format!("it ended with code {code}"))),
        (_, _, complaint) => Err(failed(&action, complaint)),
    }
}

async fn attended(
    client: &Client,
    id: &str,
    input: Option<&mut (dyn AsyncRead + Unpin + Send)>,
) -> Result<(i64, Vec<u8>, String), bollard::errors::Error> {
    let options = AttachContainerOptionsBuilder::default().stdin(true).stdout(true).stderr(true).stream(true).build();
    let attached = client.attach_container(id, Some(options)).await?;
    client.start_container(id, None).await?;
    let stream = ProcessStream::new(attached.output, attached.input);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let feed = async {
        if let Some(input) = input {
            // A helper that ends early says why.
            let _ = tokio::io::copy(input, &mut writer).await;
        }
        let _ = writer.shutdown().await;
    };
    let mut output = Vec::new();
    let collect = async {
        // What it complains about is told by its exit.
        let _ = (&mut reader).take(OUTPUT).read_to_end(&mut output).await;
    };
    tokio::join!(feed, collect);
    let complaint = reader.unsplit(writer).complaint();
    let code = match client.wait_container(id, None::<WaitContainerOptions>).next().await {
        Some(Ok(response)) => response.status_code,
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
        Some(Err(error)) => return Err(error),
        None => -1,
    };
    Ok((code, output, complaint))
}

/// The last line that a container's first process wrote.
pub(crate) async fn last_words(client: &Client, container: &str) -> Option<String> {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail("5").build();
    let mut lines = client.logs(container, Some(options));
    let mut last = None;
    while let Some(Ok(line)) = lines.next().await {
        let (LogOutput::StdErr { message } | LogOutput::StdOut { message }) = line else { continue };
        let text = String::from_utf8_lossy(&message).trim().to_owned();
        last = Some(text).filter(|text| !text.is_empty()).or(last);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_cannot_run_nodes_is_told_why() {
        let info = |kind: &str, kernel: &str, security: &[&str]| SystemInfo {
            os_type: Some(kind.to_owned()),
            kernel_version: Some(kernel.to_owned()),
            security_options: Some(security.iter().map(|it| (*it).to_owned()).collect()),
            ..SystemInfo::default()
        };
        for (info, expected) in [
            (info("linux", "6.12.5-linuxkit", &["name=seccomp,profile=default"]), None),
            (info("windows", "10.0", &[]), Some("Linux containers")),
            (info("linux", "6.1.0", &["name=userns"]), Some("userns-remap")),
            (info("linux", "6.1.0", &["name=seccomp,profile=default", "name=rootless"]), Some("rootless")),
            (info("linux", "5.15.0-generic", &[]), Some("too old")),
        ] {
            let told = lacks(&info);
            assert_eq!(told.is_some(), expected.is_some(), "{told:?}");
            assert!(told.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
    }
}
