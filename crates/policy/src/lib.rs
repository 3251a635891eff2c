//! Pure decisions: what to do, who may, which address, and why. No I/O, no clock.
