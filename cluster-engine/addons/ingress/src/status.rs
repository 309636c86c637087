//! Writes into Ingresses where they are reached.

use std::sync::Arc;

use drydock_client::types::{LoadBalancerIngress, Service};
use drydock_client::{Api, Client, Object, Patch};
use serde_json::{Value, json};

use crate::objects::Ingress;

/// Keeps `status.loadBalancer` of our Ingresses.
pub(crate) struct Publisher {
    client: Client,
}

impl Publisher {
    pub(crate) fn new(client: Client) -> Publisher {
        Publisher { client }
    }

    /// Brings the Ingresses' addresses to those of `service`; whether something is left to be tried again.
    pub(crate) async fn publish(&self, ingresses: &[Arc<Ingress>], service: Option<&Service>) -> bool {
        let wanted = service.map(|service| service.status.load_balancer.ingress.as_slice()).unwrap_or_default();
        let mut again = false;
        for ingress in ingresses.iter().filter(|ingress| !is_published(ingress, wanted)) {
            let entries: Vec<Value> = wanted.iter().map(entry).collect();
            let body = json!({"status": {"loadBalancer": {"ingress": entries}}});
            let api = Api::<Ingress>::namespaced(self.client.clone(), ingress.namespace());
            match api.patch_status(ingress.name(), Patch::Merge, &body).await {
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    again = true;
                    tracing::warn!(
                        ingress.namespace = ingress.namespace(), ingress.name = ingress.name(), %error,
                        "cannot write the address"
                    );
                }
            }
        }
        again
    }
}

fn entry(of: &LoadBalancerIngress) -> Value {
    let mut entry = json!({});
    for (field, value) in [("ip", &of.ip), ("hostname", &of.hostname)] {
        if !value.is_empty() {
            entry[field] = json!(value);
        }
    }
    entry
}

fn is_published(ingress: &Ingress, wanted: &[LoadBalancerIngress]) -> bool {
    let address = |entry: &LoadBalancerIngress| (entry.ip.clone(), entry.hostname.clone());
    ingress.status.load_balancer.ingress.iter().map(address).eq(wanted.iter().map(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_once() {
        let mut ingress = Ingress::default();
        let wanted = [LoadBalancerIngress {
            ip: "10.20.0.128".to_owned(),
            ip_mode: Some("VIP".to_owned()),
            ..Default::default()
        }];
        assert!(!is_published(&ingress, &wanted));
        assert_eq!(entry(&wanted[0]), json!({"ip": "10.20.0.128"}));
        ingress.status.load_balancer.ingress =
            vec![LoadBalancerIngress { ip: "10.20.0.128".to_owned(), ..Default::default() }];
        assert!(is_published(&ingress, &wanted));
        assert!(!is_published(&ingress, &[]));
    }
}
