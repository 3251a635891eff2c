//! Tests that belong to no single crate; they live in `tests/`.
