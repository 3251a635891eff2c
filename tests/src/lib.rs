//! What tests and programs that check the product share; tests that belong to no
//! single crate live in `tests/`.

pub mod cases;
