//! What goes wrong in a cluster, as learners and lessons let it: one meaning of each word for both.

use std::time::Duration;

use drydock_engine::{ComponentFault, Engine, EngineError, NodeFault};
use drydock_protocol::{Fault, FaultKind};

/// Packets of a hundred that are lost.
const LOSS_PERCENT: u8 = 30;
/// How much longer a write of etcd takes.
const WRITE_DELAY: Duration = Duration::from_millis(300);

/// Causes a fault, or ends it.
///
/// # Errors
/// When the node or component is not there, or the host fails.
pub(crate) async fn perform(engine: &Engine, cluster: &str, fault: &Fault, on: bool) -> Result<(), EngineError> {
    let node = fault.node.as_str();
    let component = fault.component.as_deref().unwrap_or_default();
    match (fault.kind, on) {
        (FaultKind::StopNode, true) => engine.fault_node(cluster, node, NodeFault::Stop).await,
        (FaultKind::StopNode, false) => Ok(engine.host().start_node(cluster, node).await?),
        (FaultKind::FreezeNode, true) => engine.fault_node(cluster, node, NodeFault::Freeze).await,
        (FaultKind::FreezeNode, false) => Ok(engine.host().resume_node(cluster, node).await?),
        (FaultKind::CutNode, true) => engine.fault_node(cluster, node, NodeFault::CutOff).await,
        (FaultKind::CutNode, false) => Ok(engine.host().attach_node(cluster, node).await?),
        (FaultKind::Loss, on) => {
            let percent = if on { LOSS_PERCENT } else { 0 };
            engine.fault_node(cluster, node, NodeFault::Loss(percent)).await
        }
        (FaultKind::KillComponent, true) => {
            engine.fault_component(cluster, node, component, ComponentFault::Kill).await
        }
        (FaultKind::KillComponent, false) => Ok(()),
        (FaultKind::PauseComponent, true) => {
            engine.fault_component(cluster, node, component, ComponentFault::Pause).await
        }
        (FaultKind::PauseComponent, false) => {
            engine.fault_component(cluster, node, component, ComponentFault::Resume).await
        }
        (FaultKind::SlowWrites, on) => engine.slow_writes(cluster, if on { WRITE_DELAY } else { Duration::ZERO }).await,
    }
}
