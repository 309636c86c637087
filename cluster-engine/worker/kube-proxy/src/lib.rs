//! drydock-kube-proxy.
