//! drydock-dns.
