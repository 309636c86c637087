//! Which UDP connections the kernel would go on sending to endpoints that are gone.
//!
//! UDP has no end of connection: a client that keeps sending from one port renews the kernel's entry for ever,
//! with the endpoint it chose, or with none, if there was none then.

use drydock_nftables::conntrack::Connection;

use crate::plan::UdpServices;

/// Whether a connection is to a service but not to one of its endpoints.
pub fn is_stale(connection: &Connection, services: &UdpServices) -> bool {
    let destination = connection.original.destination;
    let endpoints = services.addresses.get(&destination).or_else(|| {
        // A translated connection to a node port; one that was not may be to something else on the node.
        services.node_ports.get(&destination.1).filter(|_| connection.translated)
    });
    match endpoints {
        // Without any endpoint a connection can do no harm: its packets are refused.
        Some(endpoints) if !endpoints.is_empty() => !endpoints.contains(&connection.reply.source),
        Some(_) => connection.translated,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use drydock_nftables::conntrack::Tuple;

    use super::*;

    fn connection(destination: &str, reply: &str, translated: bool) -> Connection {
        let end = |text: &str| {
            let end: std::net::SocketAddrV4 = text.parse().expect("address:port");
            (*end.ip(), end.port())
        };
        let client = end("10.20.0.9:4000");
        Connection {
            original: Tuple { source: client, destination: end(destination) },
            reply: Tuple { source: end(reply), destination: client },
            translated,
        }
    }

    #[test]
    fn stale_connections() {
        let endpoint = (Ipv4Addr::new(10, 244, 1, 2), 53);
        let mut services = UdpServices::default();
        services.addresses.insert((Ipv4Addr::new(10, 96, 0, 10), 53), [endpoint].into());
        services.addresses.insert((Ipv4Addr::new(10, 96, 0, 11), 53), [].into());
        services.node_ports.insert(30053, [endpoint].into());
        for (destination, reply, translated, stale) in [
            ("10.96.0.10:53", "10.244.1.2:53", true, false),
            ("10.96.0.10:53", "10.244.1.9:53", true, true),
            // Begun before there was an endpoint.
            ("10.96.0.10:53", "10.96.0.10:53", false, true),
            ("10.96.0.10:54", "10.244.1.9:53", true, false),
            ("10.96.0.11:53", "10.244.1.2:53", true, true),
            ("10.20.0.2:30053", "10.244.1.9:53", true, true),
            ("10.20.0.2:30053", "10.244.1.2:53", true, false),
            // Somebody else's port of the same number.
            ("8.8.8.8:30053", "8.8.8.8:30053", false, false),
        ] {
            let connection = connection(destination, reply, translated);
            assert_eq!(is_stale(&connection, &services), stale, "{connection:?}");
        }
    }
}
