//! drydock-pod-network.
