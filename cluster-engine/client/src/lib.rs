//! drydock-client.
