//! What the operator says about images from registries.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use drydock_image_service::Policy;

/// Rules for pulling images. They count for all sessions of the data folder from now on.
#[derive(Args, Clone, Debug)]
#[group(id = "pulling")]
pub(crate) struct Options {
    /// Whether sessions may pull images from registries.
    #[arg(long, env = "DRYDOCK_IMAGE_PULL", value_enum, default_value_t = Pull::Allow)]
    image_pull: Pull,
    /// Registries that images may come from, e.g. docker.io,registry.k8s.io,*.example.com; all when none is named.
    #[arg(long, env = "DRYDOCK_IMAGE_REGISTRIES", value_delimiter = ',', value_name = "HOST")]
    image_registries: Vec<String>,
    /// Registries that may have private, loopback or link-local addresses, which are refused otherwise; * for all.
    #[arg(long, env = "DRYDOCK_IMAGE_PRIVATE_REGISTRY", value_delimiter = ',', value_name = "HOST[:PORT]")]
    image_private_registry: Vec<String>,
    /// Registries that are spoken to in plain HTTP, as localhost and 127.0.0.0/8 always are.
    #[arg(long, env = "DRYDOCK_IMAGE_INSECURE_REGISTRY", value_delimiter = ',', value_name = "HOST[:PORT]")]
    image_insecure_registry: Vec<String>,
    /// A mirror to ask before a registry, e.g. docker.io=https://mirror.example.com; may be given again [default: none].
    #[arg(long, env = "DRYDOCK_REGISTRY_MIRROR", value_delimiter = ',', value_parser = mirror, value_name = "HOST=URL")]
    registry_mirror: Vec<(String, String)>,
    /// GiB that pulled images may take on disk, all sessions together; one session may take half of it.
    #[arg(long, env = "DRYDOCK_IMAGE_BUDGET", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000), value_name = "GIB")]
    image_budget: u64,
}

impl Default for Options {
    /// What holds when nothing is said.
    fn default() -> Options {
        Options {
            image_pull: Pull::Allow,
            image_registries: Vec::new(),
            image_private_registry: Vec::new(),
            image_insecure_registry: Vec::new(),
            registry_mirror: Vec::new(),
            image_budget: 20,
        }
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Pull {
    /// They may.
    Allow,
    /// They may not: only imported images can be used.
    Deny,
}

fn mirror(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((host, url)) if !host.is_empty() && (url.starts_with("https://") || url.starts_with("http://")) => {
            Ok((host.to_owned(), url.to_owned()))
        }
        _ => bail!("expected HOST=URL, e.g. docker.io=https://mirror.example.com"),
    }
}

impl Options {
    /// The rules, with the proxy and the authorities that the environment names. `variable` reads the environment.
    pub(crate) fn policy(&self, variable: impl Fn(&str) -> Option<String>) -> Policy {
        let either = |name: &str| {
            let found = variable(name).or_else(|| variable(&name.to_lowercase()));
            found.filter(|value| !value.is_empty())
        };
        let mut policy = Policy {
            allow: self.image_pull == Pull::Allow,
            registries: self.image_registries.clone(),
            private: self.image_private_registry.clone(),
            insecure: self.image_insecure_registry.clone(),
            proxy: either("HTTPS_PROXY").or_else(|| either("ALL_PROXY")),
            no_proxy: either("NO_PROXY").unwrap_or_default().split(',').map(|it| it.trim().to_owned()).collect(),
            authorities: variable("SSL_CERT_FILE").map(PathBuf::from),
            budget: self.image_budget << 30,
            ..Policy::default()
        };
        for (host, url) in &self.registry_mirror {
            policy.mirrors.entry(host.clone()).or_default().push(url.clone());
        }
        policy.no_proxy.retain(|rule| !rule.is_empty());
        policy
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn flags_and_environment_become_rules() {
        let line = Line::try_parse_from([
            "drydock",
            "--image-pull=deny",
            "--image-registries=docker.io,*.example.com",
            "--registry-mirror=docker.io=https://a",
            "--registry-mirror=docker.io=http://b:5000",
            "--image-budget=5",
        ]);
        let environment = |name: &str| match name {
            "https_proxy" => Some("http://proxy:3128".to_owned()),
            "NO_PROXY" => Some("localhost, .corp,".to_owned()),
            _ => None,
        };
        let policy = line.ok().unwrap().options.policy(environment);
        assert!(!policy.allow);
        assert_eq!(policy.registries, ["docker.io", "*.example.com"]);
        assert_eq!(policy.mirrors["docker.io"], ["https://a", "http://b:5000"]);
        assert_eq!(policy.proxy.as_deref(), Some("http://proxy:3128"));
        assert_eq!(policy.no_proxy, ["localhost", ".corp"]);
        assert_eq!(policy.budget, 5 << 30);
        assert!(Line::try_parse_from(["drydock", "--registry-mirror=docker.io"]).is_err());
        let default = Line::try_parse_from(["drydock"]).ok().unwrap().options.policy(|_| None);
        assert_eq!(default, Policy::default());
    }
}
