//! For tests: network namespaces, the oracle runner, real servers.
