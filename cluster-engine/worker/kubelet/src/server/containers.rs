//! Finding the container a request is about, with upstream's refusals.

use super::{Place, Refusal};
use crate::kubelet::Kubelet;
use crate::worker::{ContainerView, Handle};

/// The worker of the request's pod.
///
/// # Errors
/// 404 for an unknown pod.
pub(super) fn pod(kubelet: &Kubelet, place: &Place) -> Result<Handle, Refusal> {
    let missing = || Refusal::not_found(format!("pod {}_{} does not exist", place.pod, place.namespace));
    // A mirror pod's uid is not the static pod's own: what the API server asks by is taken as a name, too.
    let by_uid = place.uid.as_deref().and_then(|uid| kubelet.pods.find(&place.namespace, &place.pod, Some(uid)));
    by_uid.or_else(|| kubelet.pods.find(&place.namespace, &place.pod, None)).ok_or_else(missing)
}

/// The running container of the request.
///
/// # Errors
/// 404 for an unknown one, 500 with upstream's text for one that does not run.
pub(super) fn running(kubelet: &Kubelet, place: &Place) -> Result<ContainerView, Refusal> {
    let handle = pod(kubelet, place)?;
    let view = handle.view();
    let container = view.containers.get(&place.container).filter(|container| container.running);
    container.cloned().ok_or_else(|| Refusal::not_found(format!("container not found (\"{}\")", place.container)))
}
