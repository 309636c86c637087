//! drydock-kube-controller-manager.
