//! drydock-host-embedded.
