//! The kernel part: BPF programs, the shared header, loading, attaching, pins and typed tables.
