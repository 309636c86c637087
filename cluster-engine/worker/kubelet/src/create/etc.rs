//! `/etc/hosts` and `/etc/resolv.conf` of a pod.

use crate::pod::Pod;

/// The pod's `/etc/hosts`; a pod on the host's network has the node's, with its own aliases.
pub(crate) fn hosts_file(pod: &Pod, ip: &str, cluster_domain: &str, node_hosts: &str) -> String {
    let mut text = if pod.spec.host_network {
        format!("# Kubernetes-managed hosts file (host network).\n{node_hosts}")
    } else {
        let mut text = "# Kubernetes-managed hosts file.\n\
            127.0.0.1\tlocalhost\n\
            ::1\tlocalhost ip6-localhost ip6-loopback\n\
            fe00::0\tip6-localnet\n\
            fe00::0\tip6-mcastprefix\n\
            fe00::1\tip6-allnodes\n\
            fe00::2\tip6-allrouters\n"
            .to_owned();
        let name = pod.host_name();
        if pod.spec.subdomain.is_empty() {
            text.push_str(&format!("{ip}\t{name}\n"));
        } else {
            let (subdomain, namespace) = (&pod.spec.subdomain, &pod.metadata.namespace);
            text.push_str(&format!("{ip}\t{name}.{subdomain}.{namespace}.svc.{cluster_domain}\t{name}\n"));
        }
        text
    };
    if !pod.spec.host_aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
        for alias in &pod.spec.host_aliases {
            text.push_str(&format!("{}\t{}\n", alias.ip, alias.hostnames.join("\t")));
        }
    }
    text
}

/// The pod's `/etc/resolv.conf` by its `dnsPolicy` and `dnsConfig` (upstream: `dns.Configurer.GetPodDNS`).
pub(crate) fn resolv_conf(pod: &Pod, cluster_dns: &[String], cluster_domain: &str, node: &str) -> String {
    let (mut servers, mut searches, mut options) = (Vec::new(), Vec::new(), Vec::new());
    let policy = pod.spec.dns_policy.as_str();
    let first =
        policy == "ClusterFirstWithHostNet" || (policy != "Default" && policy != "None" && !pod.spec.host_network);
    if policy != "None" {
        for line in node.lines() {
            let mut words = line.split_whitespace();
            let list = match words.next() {
                Some("nameserver") => &mut servers,
                Some("search") => {
                    searches.clear();
                    &mut searches
                }
                Some("options") => &mut options,
                _ => continue,
            };
            list.extend(words.map(str::to_owned));
        }
    }
    if first && !cluster_dns.is_empty() {
        servers = cluster_dns.to_vec();
        if !cluster_domain.is_empty() {
            let namespace = &pod.metadata.namespace;
            let mut own = vec![
                format!("{namespace}.svc.{cluster_domain}"),
                format!("svc.{cluster_domain}"),
                cluster_domain.to_owned(),
            ];
            own.append(&mut searches);
            searches = own;
        }
        options = vec!["ndots:5".to_owned()];
    }
    if let Some(own) = &pod.spec.dns_config {
        servers.extend(own.nameservers.iter().cloned());
        searches.extend(own.searches.iter().cloned());
        for option in &own.options {
            options.retain(|old| old.split(':').next() != Some(option.name.as_str()));
            options.push(match &option.value {
                Some(value) => format!("{}:{value}", option.name),
                None => option.name.clone(),
            });
        }
    }
    dedup(&mut servers);
    dedup(&mut searches);
    servers.truncate(3);
    let mut text = String::new();
    if !searches.is_empty() {
        text.push_str(&format!("search {}\n", searches.join(" ")));
    }
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !options.is_empty() {
        text.push_str(&format!("options {}\n", options.join(" ")));
    }
    text
}

fn dedup(list: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    list.retain(|item| seen.insert(item.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::tests::pod;

    #[track_caller]
    fn check(spec: &str, expected: &str) {
        let pod = pod(&format!("{{metadata: {{name: p, namespace: ns}}, spec: {{{spec}}}}}"));
        let node = "search lan\nnameserver 9.9.9.9\noptions edns0\n";
        assert_eq!(resolv_conf(&pod, &["10.96.0.10".to_owned()], "cluster.local", node), expected);
    }

    #[test]
    fn dns_policies() {
        let cluster =
            "search ns.svc.cluster.local svc.cluster.local cluster.local lan\nnameserver 10.96.0.10\noptions ndots:5\n";
        let node = "search lan\nnameserver 9.9.9.9\noptions edns0\n";
        check("dnsPolicy: ClusterFirst", cluster);
        check("dnsPolicy: ClusterFirst, hostNetwork: true", node);
        check("dnsPolicy: ClusterFirstWithHostNet, hostNetwork: true", cluster);
        check("dnsPolicy: Default", node);
        check(
            "dnsPolicy: None, dnsConfig: {nameservers: [1.1.1.1], searches: [a.b], options: [{name: ndots, value: '2'}, {name: x}]}",
            "search a.b\nnameserver 1.1.1.1\noptions ndots:2 x\n",
        );
        check("dnsConfig: {options: [{name: ndots, value: '1'}]}", &cluster.replace("ndots:5", "ndots:1"));
    }

    #[test]
    fn hosts() {
        let pod = pod(
            "{metadata: {name: p, namespace: ns}, spec: {hostname: h, subdomain: s, hostAliases: [{ip: 1.2.3.4, hostnames: [a, b]}]}}",
        );
        let text = hosts_file(&pod, "10.244.1.5", "cluster.local", "");
        assert!(text.contains("10.244.1.5\th.s.ns.svc.cluster.local\th\n"));
        assert!(text.ends_with("\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"));
    }
}
