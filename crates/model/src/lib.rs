//! The words of hostlet: names, ids, addresses, address sets, specifications, configuration. No I/O.
