//! drydock-tests-browser.
