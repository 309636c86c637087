//! drydock-kube-apiserver.
