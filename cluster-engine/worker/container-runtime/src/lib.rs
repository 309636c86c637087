//! drydock-container-runtime.
