//! The authorizers that `--authorization-mode` names, asked in order.

use std::sync::Arc;

use drydock_api::Status;

use super::node::NodeAuthorizer;
use super::{Attributes, Authorize, Decision, Lookup};
use crate::rbac;

/// Group whose members may do everything, whatever the modes (upstream's privileged group).
const MASTERS: &str = "system:masters";

/// The chain.
pub(crate) struct Chain {
    modes: Vec<Mode>,
}

enum Mode {
    Node(NodeAuthorizer),
    Rbac(Arc<rbac::Authorizer>),
    AlwaysAllow,
    AlwaysDeny,
}

impl Chain {
    /// From the flag's names.
    ///
    /// # Errors
    /// The name that is none.
    pub(crate) fn new(
        names: &[String],
        lookup: &Arc<dyn Lookup>,
        rbac: &Arc<rbac::Authorizer>,
    ) -> Result<Self, String> {
        let modes = names.iter().map(|name| match name.as_str() {
            "Node" => Ok(Mode::Node(NodeAuthorizer::new(Arc::clone(lookup)))),
            "RBAC" => Ok(Mode::Rbac(Arc::clone(rbac))),
            "AlwaysAllow" => Ok(Mode::AlwaysAllow),
            "AlwaysDeny" => Ok(Mode::AlwaysDeny),
            other => Err(other.to_owned()),
        });
        Ok(Self { modes: modes.collect::<Result<_, _>>()? })
    }

    /// 403 in upstream's words unless it is allowed.
    pub(crate) fn check(&self, attributes: &Attributes<'_>) -> Result<String, Status> {
        match self.authorize(attributes) {
            Decision::Allow(reason) => Ok(reason),
            Decision::NoOpinion(reason) => Err(Status::forbidden(
                attributes.group,
                attributes.resource,
                attributes.name,
                rbac::forbidden_message(attributes, &reason),
            )),
        }
    }
}

impl Authorize for Chain {
    fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        if attributes.user.in_group(MASTERS) {
            return Decision::Allow(String::new());
        }
        let mut reasons = Vec::new();
        for mode in &self.modes {
            let decision = match mode {
                Mode::Node(node) => node.authorize(attributes),
                Mode::Rbac(rbac) => rbac.authorize(attributes),
                Mode::AlwaysAllow => Decision::Allow(String::new()),
                Mode::AlwaysDeny => Decision::NoOpinion("Everything is forbidden.".to_owned()),
            };
            match decision {
                Decision::NoOpinion(reason) if reason.is_empty() => {}
                Decision::NoOpinion(reason) => reasons.push(reason),
                allowed => return allowed,
            }
        }
        Decision::NoOpinion(reasons.join(", "))
    }
}
