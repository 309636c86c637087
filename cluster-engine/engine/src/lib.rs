//! drydock-engine.
