//! drydock-tests-harness.
