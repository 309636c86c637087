//! drydock-supervisor.
