//! drydock-etcd-proto.
