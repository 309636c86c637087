//! Cluster addresses and node ports of Services.
//!
//! Ranges are those of the ServiceCIDRs that are ready. What is taken is read from the watch cache each time: nothing to keep in step, nothing to repair after a crash. A lock held
//! from choosing until the cache has seen the write keeps two Services from taking the same one.

mod objects;
mod plan;

use std::net::IpAddr;

use drydock_api::field::FieldError;
use drydock_api::{Status, meta};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::options::Options;
use crate::server::Server;

pub(crate) use objects::{object, repair, settle};
pub(crate) use plan::{Cidr, Taken};

/// The ranges, and the lock.
pub(crate) struct Addresses {
    pub(crate) cidr: Cidr,
    ports: (u16, u16),
    lock: Mutex<()>,
}

impl Addresses {
    /// From the flags.
    ///
    /// # Errors
    /// A sentence about the flag that cannot be read.
    pub(crate) fn new(options: &Options) -> Result<Self, String> {
        let cidr = Cidr::parse(options.service_cluster_ip_range.split(',').next().unwrap_or("")).ok_or_else(|| {
            format!(
                "--service-cluster-ip-range {:?} is not an IPv4 range such as 10.96.0.0/12",
                options.service_cluster_ip_range
            )
        })?;
        let ports = options
            .service_node_port_range
            .split_once('-')
            .and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
        let ports = ports.filter(|(low, high): &(u16, u16)| low <= high && *low > 0);
        let ports = ports.ok_or_else(|| {
            format!(
                "--service-node-port-range {:?} is not a range such as 30000-32767",
                options.service_node_port_range
            )
        })?;
        Ok(Self { cidr, ports, lock: Mutex::new(()) })
    }

    /// The first address of the range: the `kubernetes` Service's.
    pub(crate) fn first(&self) -> IpAddr {
        self.cidr.nth(1)
    }

    /// Gives a Service (new, or on its way from `old`) its addresses and ports. Keep the guard until the cache has seen the write.
    ///
    /// # Errors
    /// 422 in upstream's words for what is taken, out of range or used up.
    pub(crate) async fn allocate(
        &self,
        server: &Server,
        service: &mut Value,
        old: Option<&Value>,
    ) -> Result<MutexGuard<'_, ()>, Status> {
        let guard = self.lock.lock().await;
        let own = meta::uid(service).to_owned();
        let others = server.objects(objects::SERVICES, "");
        let mut taken = Taken::of(others.iter().filter(|other| meta::uid(other) != own));
        let (namespace, name) = (meta::namespace(service), meta::name(service));
        let addresses = server.objects(objects::STORAGE, "");
        let foreign = addresses.iter().filter(|address| !objects::is_of(address, namespace, name));
        taken.add_addresses(foreign.map(|address| meta::name(address).to_owned()));
        let ranges = plan::ranges(&server.objects("/registry/servicecidrs", ""), self.cidr);
        let errors: Vec<FieldError> =
            plan::allocate(service, old, &ranges, self.ports, taken, &mut rand::random::<u32>);
        if errors.is_empty() {
            return Ok(guard);
        }
        Err(Status::invalid("", "Service", meta::name(service), errors))
    }
}
