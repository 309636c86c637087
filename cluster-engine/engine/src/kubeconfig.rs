//! Kubeconfig files for people and components.

use crate::pki::Identity;

/// Who the file speaks for and where to.
#[derive(Clone, Debug)]
pub struct Kubeconfig<'a> {
    /// The cluster's and context's name.
    pub cluster: &'a str,
    /// `https://host:port`.
    pub server: &'a str,
    /// The CA's certificate, PEM.
    pub ca: &'a str,
    /// The user's name inside the file.
    pub user: &'a str,
    /// The user's certificate and key.
    pub identity: &'a Identity,
}

impl Kubeconfig<'_> {
    /// The file's text, with everything inline.
    pub fn render(&self) -> String {
        let Kubeconfig { cluster, server, ca, user, identity } = self;
        let (ca, certificate, key) = (base64(ca), base64(&identity.certificate), base64(&identity.key));
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {cluster}\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {ca}\nusers:\n- name: {user}\n  user:\n    client-certificate-data: {certificate}\n    \
             client-key-data: {key}\ncontexts:\n- name: {cluster}\n  context:\n    cluster: {cluster}\n    user: {user}\n\
             current-context: {cluster}\npreferences: {{}}\n"
        )
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_inline() {
        let identity = Identity { certificate: "CERT".to_owned(), key: "KEY".to_owned() };
        let text =
            Kubeconfig { cluster: "lab", server: "https://127.0.0.1:1", ca: "CA", user: "admin", identity: &identity }
                .render();
        for part in ["server: https://127.0.0.1:1", "certificate-authority-data: Q0E=", "client-key-data: S0VZ"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
