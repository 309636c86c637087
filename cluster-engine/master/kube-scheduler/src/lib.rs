//! drydock-kube-scheduler.
