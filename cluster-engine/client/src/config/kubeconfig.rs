//! Kubeconfig files: the current context's cluster and user, data and file forms.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use serde::Deserialize;

use super::{Auth, Config, certificates, private_key};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
}

/// The configuration that `text` describes; file names in it are relative to `folder`.
pub(super) fn parse(text: &str, folder: &Path) -> Result<Config, String> {
    let file: Kubeconfig = serde_saphyr::from_str(text).map_err(|error| format!("not a kubeconfig: {error}"))?;
    let context = file
        .contexts
        .iter()
        .find(|context| context.name == file.current_context)
        .map(|named| &named.context)
        .ok_or_else(|| format!("context {:?} does not exist", file.current_context))?;
    let cluster = file
        .clusters
        .iter()
        .find(|cluster| cluster.name == context.cluster)
        .map(|named| &named.cluster)
        .ok_or_else(|| format!("cluster {:?} does not exist", context.cluster))?;
    let user = file.users.iter().find(|user| user.name == context.user).map(|named| &named.user);

    let mut config = Config::new(cluster.server.trim_end_matches('/'));
    config.insecure = cluster.insecure_skip_tls_verify;
    config.tls_server_name.clone_from(&cluster.tls_server_name);
    config.namespace.clone_from(&context.namespace);
    if let Some(pem) = material(&cluster.certificate_authority_data, &cluster.certificate_authority, folder)? {
        config.ca = certificates(&pem)?;
    }
    if let Some(user) = user {
        config.auth = auth(user, folder)?;
    }
    Ok(config)
}

fn auth(user: &User, folder: &Path) -> Result<Auth, String> {
    let chain = material(&user.client_certificate_data, &user.client_certificate, folder)?;
    let key = material(&user.client_key_data, &user.client_key, folder)?;
    match (chain, key) {
        (Some(chain), Some(key)) => {
            return Ok(Auth::ClientCert { chain: certificates(&chain)?, key: Arc::new(private_key(&key)?) });
        }
        (None, None) => {}
        _ => return Err("client-certificate and client-key go together".to_owned()),
    }
    // client-go: tokenFile takes precedence over token.
    Ok(match (&user.token_file, &user.token) {
        (Some(file), _) => Auth::TokenFile(folder.join(file)),
        (None, Some(token)) => Auth::Token(token.clone()),
        (None, None) => Auth::None,
    })
}

/// The inline form wins over the file form, as in client-go.
fn material(data: &Option<String>, file: &Option<String>, folder: &Path) -> Result<Option<Vec<u8>>, String> {
    if let Some(data) = data.as_deref().filter(|data| !data.is_empty()) {
        let compact: String = data.split_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(compact)
            .map_err(|error| format!("a -data field is not base64: {error}"))?;
        return Ok(Some(bytes));
    }
    let Some(file) = file.as_deref().filter(|file| !file.is_empty()) else { return Ok(None) };
    let path = folder.join(file);
    std::fs::read(&path).map(Some).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "
apiVersion: v1
kind: Config
current-context: here
contexts:
- name: here
  context: {cluster: c, user: u, namespace: shop}
clusters:
- name: c
  cluster: {server: 'https://10.20.0.2:6443/', tls-server-name: kubernetes}
users:
- name: u
  user: {token: abc}
";

    #[test]
    fn reads_the_current_context() {
        let config = parse(PLAIN, Path::new("/x")).unwrap();
        assert_eq!(config.server, "https://10.20.0.2:6443");
        assert_eq!(config.namespace.as_deref(), Some("shop"));
        assert_eq!(config.tls_server_name.as_deref(), Some("kubernetes"));
        assert!(matches!(config.auth, Auth::Token(token) if token == "abc"));
    }

    #[test]
    fn reads_files_relative_to_the_kubeconfig() {
        let folder = tempfile::tempdir().unwrap();
        let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("c.crt"), signed.cert.pem()).unwrap();
        std::fs::write(folder.path().join("c.key"), signed.signing_key.serialize_pem()).unwrap();
        let text = PLAIN.replace("{token: abc}", "{client-certificate: c.crt, client-key: c.key}");
        let config = parse(&text, folder.path()).unwrap();
        assert!(matches!(config.auth, Auth::ClientCert { .. }));
        let data = base64::engine::general_purpose::STANDARD.encode(signed.cert.pem());
        let text = PLAIN.replace("tls-server-name: kubernetes", &format!("certificate-authority-data: {data}"));
        assert_eq!(parse(&text, folder.path()).unwrap().ca, vec![signed.cert.der().clone()]);
    }

    #[test]
    fn says_what_is_missing() {
        for (text, expected) in [
            (PLAIN.replace("current-context: here", "current-context: there"), "context \"there\" does not exist"),
            (PLAIN.replace("cluster: c,", "cluster: d,"), "cluster \"d\" does not exist"),
            (PLAIN.replace("{token: abc}", "{client-certificate: nowhere.crt}"), "cannot read /x/nowhere.crt"),
        ] {
            let error = parse(&text, Path::new("/x")).err().unwrap();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
