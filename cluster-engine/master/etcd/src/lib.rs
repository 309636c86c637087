//! drydock-etcd.
