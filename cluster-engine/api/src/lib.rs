//! drydock-api.
