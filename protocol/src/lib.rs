//! drydock-protocol.
