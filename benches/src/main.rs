//! The figures hostlet promises, measured side by side in one run.

fn main() {}
