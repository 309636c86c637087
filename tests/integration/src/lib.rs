//! drydock-tests-integration.
