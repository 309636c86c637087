//! drydock-kubelet.
