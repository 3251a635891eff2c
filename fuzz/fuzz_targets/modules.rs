#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hostlet_fuzz::modules::run(input));
