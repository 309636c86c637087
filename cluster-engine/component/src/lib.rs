//! drydock-component.
