//! What a pod needs before its containers: volumes, tokens, its sandbox and its address.

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_client::{Api, EventType};
use drydock_container_runtime::{Limits, SandboxConfig, UserMapping};
use drydock_pod_network::{HostPort, Protocol};
use serde::Deserialize;

use super::{Message, SandboxView, Worker};
use crate::create::{hosts_file, limits, resolv_conf};
use crate::env::Sources;
use crate::kubelet::{Kubelet, blocking, now};
use crate::objects::{ConfigMap, Secret, Watch};
use crate::pod::{Container, Pod, Resources, Volume};
use crate::state::{Millis, Sandbox};
use crate::volumes::{self, POD_IDS, Ready};

/// Watches that stay open while the pod lives.
#[derive(Default)]
pub(super) struct Watched {
    config_maps: BTreeMap<String, Arc<Watch<ConfigMap>>>,
    secrets: BTreeMap<String, Arc<Watch<Secret>>>,
}

/// Service account tokens by volume and path, with the time to renew them.
#[derive(Default)]
pub(super) struct Tokens {
    values: BTreeMap<String, BTreeMap<String, String>>,
    renew_at: Option<Millis>,
}

impl Tokens {
    pub(super) fn refresh_at(&self) -> Option<Millis> {
        self.renew_at
    }

    fn are_due(&self) -> bool {
        self.renew_at.is_some_and(|at| now() >= at)
    }
}

#[derive(Deserialize)]
struct TokenRequest {
    status: TokenStatus,
}

#[derive(Deserialize)]
struct TokenStatus {
    token: String,
}

/// A claim or volume, as far as it leads to a directory of this node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Claim {
    metadata: drydock_api::meta::ObjectMeta,
    spec: ClaimSpec,
}

drydock_client::object!(Claim, "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClaimSpec {
    volume_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PersistentVolume {
    metadata: drydock_api::meta::ObjectMeta,
    spec: VolumeSpec,
}

drydock_client::object!(PersistentVolume, "", "v1", "PersistentVolume", "persistentvolumes", cluster);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct RuntimeClass {
    metadata: drydock_api::meta::ObjectMeta,
    handler: String,
}

drydock_client::object!(RuntimeClass, "node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", cluster);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VolumeSpec {
    host_path: Option<crate::pod::HostPath>,
    local: Option<Local>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Local {
    path: String,
}

/// Begins what is wrong with a volume before it is set up.
const NEW_MOUNTER: &str = "NewMounter: ";
/// The last pause between attempts to mount (upstream: 2 min 2 s).
const MOUNT_RETRY: (Millis, Millis) = (500, 122_000);
const TOKEN_RETRY: Millis = 10_000;
const SANDBOX_RETRY: (Millis, Millis) = (500, 10_000);

impl Worker {
    pub(super) async fn mount_volumes(&mut self) {
        let result = self.try_mount().await;
        match result {
            Ok(()) => self.state.volumes_ready = true,
            Err((volume, message)) => {
                self.state.volumes.failed(now(), MOUNT_RETRY.0, MOUNT_RETRY.1);
                let text = match message.strip_prefix(NEW_MOUNTER) {
                    Some(message) => {
                        let volume = self.volume_name(&volume).await;
                        format!("MountVolume.NewMounter initialization failed for volume \"{volume}\" : {message}")
                    }
                    None => format!("MountVolume.SetUp failed for volume \"{volume}\" : {message}"),
                };
                self.kubelet.event(&self.pod, None, EventType::Warning, "FailedMount", text);
            }
        }
    }

    /// Renews the tokens whose time has come; a failure is no reason to ask at once again.
    pub(super) async fn renew_tokens(&mut self) {
        if !self.tokens.are_due() || !self.state.volumes_ready {
            return;
        }
        self.refresh_volumes().await;
        if self.tokens.are_due() {
            self.tokens.renew_at = Some(now() + TOKEN_RETRY);
        }
    }

    /// Writes volumes whose objects changed, and renews tokens.
    pub(super) async fn refresh_volumes(&mut self) {
        if let Err((volume, message)) = self.write_payloads().await {
            tracing::debug!(pod.name = self.pod.metadata.name, volume, message, "a volume keeps its old content");
        }
    }

    async fn try_mount(&mut self) -> Result<(), (String, String)> {
        let pod = self.pod.clone();
        for volume in &pod.spec.volumes {
            let ready = self.mount_one(&pod, volume).await.map_err(|message| (volume.name.clone(), message))?;
            if let Some(ready) = ready {
                self.volumes.insert(volume.name.clone(), ready);
            }
        }
        self.write_payloads().await
    }

    async fn mount_one(&mut self, pod: &Arc<Pod>, volume: &Volume) -> Result<Option<Ready>, String> {
        let uid = &pod.metadata.uid;
        if volume.empty_dir.is_some() {
            let path = self.kubelet.volume_dir(uid, "empty-dir", &volume.name);
            let (pod, volume, target) = (pod.clone(), volume.clone(), path.clone());
            blocking(move || volumes::empty_dir(&pod, &volume, &target)).await.map_err(|error| error.to_string())?;
            return Ok(Some(Ready { path, ..Ready::default() }));
        }
        if let Some(host) = &volume.host_path {
            return volumes::host_path(pod, host).map(|path| Some(Ready { path, ..Ready::default() }));
        }
        let claim = match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(claim), _) => Some((claim.claim_name.clone(), claim.read_only)),
            (None, Some(_)) => Some((format!("{}-{}", pod.metadata.name, volume.name), false)),
            (None, None) => None,
        };
        if let Some((name, read_only)) = claim {
            let path = self.claimed(pod, &name).await?;
            return Ok(Some(Ready { path, read_only, ..Ready::default() }));
        }
        if let Some(image) = &volume.image {
            let image = self.volume_image(pod, &image.reference, &image.pull_policy).await?;
            return Ok(Some(Ready { layers: image.layers, read_only: true, ..Ready::default() }));
        }
        Ok(None)
    }

    /// The name of the persistent volume behind a pod's volume, which upstream's events tell.
    async fn volume_name(&self, name: &str) -> String {
        let Some(api) = &self.kubelet.api else { return name.to_owned() };
        let volume = self.pod.spec.volumes.iter().find(|volume| volume.name == name);
        let claim = match volume.map(|volume| (&volume.persistent_volume_claim, &volume.ephemeral)) {
            Some((Some(claim), _)) => claim.claim_name.clone(),
            Some((None, Some(_))) => format!("{}-{name}", self.pod.metadata.name),
            _ => return name.to_owned(),
        };
        let claims = Api::<Claim>::namespaced(api.client.clone(), &self.pod.metadata.namespace);
        claims.get(&claim).await.map_or_else(|_| name.to_owned(), |claim| claim.spec.volume_name)
    }

    async fn claimed(&self, pod: &Pod, name: &str) -> Result<std::path::PathBuf, String> {
        let Some(api) = &self.kubelet.api else { return Err("there is no API server to ask for the claim".to_owned()) };
        let claims = Api::<Claim>::namespaced(api.client.clone(), &pod.metadata.namespace);
        let claim = claims.get(name).await.map_err(|error| error.to_string())?;
        if claim.spec.volume_name.is_empty() {
            return Err(format!("persistentvolumeclaim \"{name}\" is not bound"));
        }
        let volumes = Api::<PersistentVolume>::all(api.client.clone());
        let volume = volumes.get(&claim.spec.volume_name).await.map_err(|error| error.to_string())?;
        match (volume.spec.host_path, volume.spec.local) {
            (Some(host), _) => volumes::host_path(pod, &host),
            (None, Some(local)) if std::fs::metadata(&local.path).is_ok() => Ok(local.path.into()),
            // Upstream looks before it sets the volume up, and says so.
            (None, Some(local)) => Err(format!("{NEW_MOUNTER}path \"{}\" does not exist", local.path)),
            (None, None) => Err(format!("no volume plugin matched name \"{}\"", volume.metadata.name)),
        }
    }

    /// Writes the files of config maps, secrets, downward and projected volumes.
    async fn write_payloads(&mut self) -> Result<(), (String, String)> {
        let pod = self.pod.clone();
        let (maps, secrets) = volumes::references(&pod.spec.volumes);
        let first =
            pod.spec.volumes.iter().find(|v| v.config_map.is_some() || v.secret.is_some() || v.projected.is_some());
        let first = first.map(|volume| volume.name.clone()).unwrap_or_default();
        let due = self.tokens.renew_at.is_none() || self.tokens.are_due();
        let tokens = {
            let (kubelet, pod) = (self.kubelet.clone(), pod.clone());
            async move { if due { fetch_tokens(&kubelet, &pod).await } else { Ok(None) } }
        };
        // Two questions to the API server that need not wait for each other.
        let (sources, tokens) = tokio::join!(self.sources(&maps, &secrets), tokens);
        let sources = sources.map_err(|message| (first, message))?;
        if let Some(tokens) = tokens? {
            self.tokens = tokens;
        }
        let payloads = volumes::payloads(&pod, &sources, &self.tokens.values)?;
        for (volume, payload) in payloads {
            let name = volume.name.clone();
            let path = self.kubelet.volume_dir(&pod.metadata.uid, plugin(&volume), &name);
            let (pod, target) = (pod.clone(), path.clone());
            let written = blocking(move || volumes::write_files(&pod, &volume, &target, &payload)).await;
            written.map_err(|error| (name.clone(), error.to_string()))?;
            self.volumes.insert(name, Ready { path, read_only: true, ..Ready::default() });
        }
        Ok(())
    }

    /// The sources of a container's environment.
    pub(super) async fn env_sources(&mut self, container: &Container) -> Result<Sources, String> {
        let (maps, secrets) = crate::env::references(container);
        let mut sources = self.sources(&maps, &secrets).await?;
        for (volume, path) in crate::env::file_references(container) {
            let Some(ready) = self.volumes.get(volume) else { continue };
            let (folder, file) = (ready.path.clone(), path.to_owned());
            let found = blocking(move || crate::env::files::read(&folder, &file)).await;
            sources.files.insert((volume.to_owned(), path.to_owned()), found);
        }
        // The API server itself is a static pod: those never wait for what only it can tell.
        let wanted = !self.pod.is_static();
        if let Some(services) = self.kubelet.api.as_ref().and_then(|api| api.services.get()).filter(|_| wanted) {
            if tokio::time::timeout(std::time::Duration::from_secs(5), services.synced()).await.is_err() {
                return Err("services have not yet been read at least once, cannot construct envvars".to_owned());
            }
            sources.services = services.list();
        }
        Ok(sources)
    }

    pub(super) async fn sources(&mut self, maps: &[&str], secrets: &[&str]) -> Result<Sources, String> {
        let kubelet = self.kubelet.clone();
        let namespace = self.pod.metadata.namespace.clone();
        let pod_ip = match &self.state.sandbox {
            Some(_) if self.pod.spec.host_network => kubelet.node_ip.to_string(),
            Some(sandbox) => sandbox.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            None => String::new(),
        };
        let mut sources = Sources {
            host_ip: kubelet.node_ip.to_string(),
            pod_ip,
            node_name: kubelet.node_name.clone(),
            allocatable: kubelet.pods.allocatable(&kubelet),
            ..Sources::default()
        };
        let Some(api) = &kubelet.api else { return Ok(sources) };
        for name in maps {
            let sender = self.sender.clone();
            let watch = self.watched.config_maps.entry((*name).to_owned()).or_insert_with(|| {
                let watch = api.objects.config_map(&namespace, name);
                watch.on_change(move || sender.send(Message::Refresh).is_ok());
                watch
            });
            if let Some(map) = watch.clone().get("configmap").await? {
                sources.config_maps.insert((*name).to_owned(), map);
            }
        }
        for name in secrets {
            let sender = self.sender.clone();
            let watch = self.watched.secrets.entry((*name).to_owned()).or_insert_with(|| {
                let watch = api.objects.secret(&namespace, name);
                watch.on_change(move || sender.send(Message::Refresh).is_ok());
                watch
            });
            if let Some(secret) = watch.clone().get("secret").await? {
                sources.secrets.insert((*name).to_owned(), secret);
            }
        }
        Ok(sources)
    }

    pub(super) async fn create_sandbox(&mut self) {
        if let Err(message) = self.try_create_sandbox().await {
            self.state.sandbox_retry.failed(now(), SANDBOX_RETRY.0, SANDBOX_RETRY.1);
            let text = format!("Failed to create pod sandbox: {message}");
            self.kubelet.event(&self.pod, None, EventType::Warning, "FailedCreatePodSandBox", text);
        }
    }

    async fn try_create_sandbox(&mut self) -> Result<(), String> {
        let (kubelet, pod) = (self.kubelet.clone(), self.pod.clone());
        let id = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let handler = self.handler(&pod).await?;
        let config = sandbox_config(&kubelet, &pod, &id, &handler)?;
        let network = kubelet.network.borrow().clone().filter(|_| !pod.spec.host_network);
        let (runtime, ports) = (kubelet.runtime.clone(), host_ports(&pod));
        let created = blocking(move || {
            let sandbox = runtime.run_pod_sandbox(&config).map_err(|error| describe(&error))?;
            let attached = network.map(|network| network.attach(&sandbox.id, &sandbox.netns, &ports)).transpose();
            match attached {
                Ok(attached) => Ok((sandbox, attached)),
                Err(error) => {
                    if let Err(error) = runtime.remove_pod_sandbox(&sandbox.id) {
                        tracing::warn!(%error, "cannot remove a sandbox without network");
                    }
                    Err(format!("failed to setup network for sandbox \"{}\": {}", sandbox.id, describe(&error)))
                }
            }
        })
        .await;
        let (sandbox, attached) = created?;
        let ip = attached.map(|attachment| attachment.ip);
        self.watch_sandbox(&sandbox);
        self.state.sandbox_retry = Default::default();
        if self.state.sandboxes > 0 {
            // A new sandbox is a new beginning for init containers.
            for (_, container) in pod.all_containers().filter(|(kind, _)| *kind == crate::pod::Kind::Init) {
                let initialized = self.state.is_initialized(&pod);
                if let Some(record) = self.state.containers.get_mut(&container.name).filter(|_| !initialized) {
                    record.last = record.instance.take().and_then(|instance| instance.exit);
                }
            }
        }
        self.state.sandboxes += 1;
        let view = SandboxView { id: sandbox.id.clone(), pid: sandbox.pid, host_network: pod.spec.host_network };
        self.handle.view().sandbox = Some(view);
        self.state.sandbox = Some(Sandbox { id: sandbox.id, ip, dead: false });
        let address = ip.map_or_else(|| kubelet.node_ip.to_string(), |ip| ip.to_string());
        self.write_etc(&address).map_err(|error| error.to_string())
    }

    /// The handler of the pod's RuntimeClass.
    async fn handler(&self, pod: &Pod) -> Result<String, String> {
        let name = pod.spec.runtime_class_name.as_deref().filter(|name| !name.is_empty());
        let (Some(name), Some(api)) = (name, &self.kubelet.api) else { return Ok(String::new()) };
        let classes = Api::<RuntimeClass>::all(api.client.clone());
        match classes.get(name).await {
            Ok(class) => Ok(class.handler),
            Err(error) if error.is_not_found() => Err(format!("RuntimeClass \"{name}\" not found")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Tells the worker when the sandbox's process has ended.
    fn watch_sandbox(&mut self, sandbox: &drydock_container_runtime::Sandbox) {
        let (sender, id) = (self.sender.clone(), sandbox.id.clone());
        let process = rustix::process::Pid::from_raw(sandbox.pid)
            .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok())
            .and_then(|fd| crate::stream::readable(fd).ok());
        let task = tokio::spawn(async move {
            // A process that cannot be opened has ended already.
            if let Some(process) = process {
                let _ = process.readable().await;
            }
            let _ = sender.send(Message::SandboxExited { id });
        });
        if let Some(before) = self.sandbox_watch.replace(task.abort_handle()) {
            before.abort();
        }
    }

    /// `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.
    fn write_etc(&self, ip: &str) -> std::io::Result<()> {
        let (kubelet, pod) = (&self.kubelet, &self.pod);
        let directory = kubelet.pod_dir(&pod.metadata.uid).join("etc");
        std::fs::create_dir_all(&directory)?;
        let domain = kubelet.config.cluster_domain.as_str();
        let node_hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        let node_dns = kubelet.config.resolv_conf.clone().unwrap_or_else(|| "/etc/resolv.conf".into());
        let node_dns = std::fs::read_to_string(node_dns).unwrap_or_default();
        let host_name = if pod.spec.host_network { kubelet.node_name.clone() } else { pod.host_name() };
        let files = [
            ("hosts", hosts_file(pod, ip, domain, &node_hosts)),
            ("hostname", format!("{host_name}\n")),
            ("resolv.conf", resolv_conf(pod, &kubelet.config.cluster_dns, domain, &node_dns)),
        ];
        let owner = volumes::node_id(pod, 0);
        for (name, text) in files {
            let path = directory.join(name);
            std::fs::write(&path, text)?;
            std::os::unix::fs::chown(&path, Some(owner), Some(owner))?;
        }
        Ok(())
    }
}

/// Asks for the tokens of projected volumes; none are wanted by most static pods. They are renewed when 80 % of their life
/// is over.
///
/// # Errors
/// The volume, and upstream's text.
async fn fetch_tokens(kubelet: &Kubelet, pod: &Pod) -> Result<Option<Tokens>, (String, String)> {
    let Some(api) = &kubelet.api else { return Ok(None) };
    let mut tokens = Tokens::default();
    for volume in &pod.spec.volumes {
        let sources = volume.projected.iter().flat_map(|projected| &projected.sources);
        for wanted in sources.filter_map(|source| source.service_account_token.as_ref()) {
            let seconds = wanted.expiration_seconds.unwrap_or(3600);
            let audiences: Vec<&str> = Some(wanted.audience.as_str()).filter(|a| !a.is_empty()).into_iter().collect();
            let body = serde_json::json!({
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {
                    "audiences": audiences,
                    "expirationSeconds": seconds,
                    "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod.metadata.name, "uid": pod.metadata.uid},
                },
            });
            let account = &pod.spec.service_account_name;
            let account = if account.is_empty() { "default" } else { account };
            let namespace = &pod.metadata.namespace;
            let accounts = Api::<drydock_client::types::ServiceAccount>::namespaced(api.client.clone(), namespace);
            let answer = accounts.create_subresource::<TokenRequest>(account, "token", &body).await;
            let failed =
                |error: drydock_client::Error| (volume.name.clone(), format!("failed to fetch token: {error}"));
            let token = answer.map_err(failed)?.status.token;
            tokens.values.entry(volume.name.clone()).or_default().insert(wanted.path.clone(), token);
            let renew = now() + seconds.min(24 * 3600 * 5 / 4) * 800;
            tokens.renew_at = Some(tokens.renew_at.map_or(renew, |at| at.min(renew)));
        }
    }
    Ok(tokens.renew_at.is_some().then_some(tokens))
}

/// The directory name of the volume's plugin, as upstream names it.
fn plugin(volume: &Volume) -> &'static str {
    if volume.secret.is_some() {
        "secret"
    } else if volume.projected.is_some() {
        "projected"
    } else if volume.downward_api.is_some() {
        "downward-api"
    } else {
        "configmap"
    }
}

/// Bounds of the whole pod.
pub(super) fn pod_limits(kubelet: &Kubelet, pod: &Pod) -> Limits {
    let mut whole = Resources::default();
    for name in ["cpu", "memory"] {
        whole.requests.insert(name.to_owned(), pod.request(name));
        if let Some(limit) = pod.limit(name).filter(|limit| !limit.is_zero()) {
            whole.limits.insert(name.to_owned(), limit);
        }
    }
    let pids = u64::try_from(kubelet.config.pod_pids_limit).ok().filter(|pids| *pids > 0);
    limits(&whole, pids)
}

/// Runtime classes that mean this node's only runtime.
const HANDLERS: [&str; 3] = ["", "drydock", "runc"];

fn sandbox_config(kubelet: &Kubelet, pod: &Pod, id: &str, handler: &str) -> Result<SandboxConfig, String> {
    let spec = &pod.spec;
    if !HANDLERS.contains(&handler) {
        return Err(format!(
            "rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for \"{handler}\" is configured"
        ));
    }
    let mut sysctls: Vec<(String, String)> = Vec::new();
    if !spec.host_network {
        // As containerd: in a network of its own nobody is hurt by who listens on a low port.
        sysctls.push(("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned()));
    }
    sysctls.extend(spec.security_context.sysctls.iter().map(|sysctl| (sysctl.name.clone(), sysctl.value.clone())));
    Ok(SandboxConfig {
        id: id.to_owned(),
        pod_name: pod.metadata.name.clone(),
        pod_namespace: pod.metadata.namespace.clone(),
        pod_uid: pod.metadata.uid.clone(),
        hostname: if spec.host_network {
            kubelet.node_name.clone()
        } else {
            pod.kernel_name(&kubelet.config.cluster_domain)?
        },
        host_network: spec.host_network,
        host_pid: spec.host_pid,
        host_ipc: spec.host_ipc,
        share_process_namespace: spec.share_process_namespace,
        user_mapping: pod.has_user_namespace().then(|| UserMapping::range(POD_IDS, 65_536)),
        cgroup_parent: pod.cgroup(),
        limits: pod_limits(kubelet, pod),
        sysctls,
        shm_bytes: None,
    })
}

fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let containers = pod.spec.containers.iter().chain(pod.spec.init_containers.iter().filter(|c| c.is_sidecar()));
    let ports = containers.flat_map(|container| &container.ports).filter(|port| port.host_port != 0);
    ports
        .map(|port| HostPort {
            protocol: match port.protocol.as_str() {
                "UDP" => Protocol::Udp,
                "SCTP" => Protocol::Sctp,
                _ => Protocol::Tcp,
            },
            host_ip: port.host_ip.parse().ok(),
            host_port: port.host_port,
            container_port: port.container_port,
        })
        .collect()
}

/// An error with its causes, in one line.
pub(super) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
