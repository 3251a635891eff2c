//! `hostlet-ask tcp|udp PORT HEX ADDRESS…`: sends the bytes to each address and tells what came of it.

fn main() -> std::process::ExitCode {
    hostlet_testkit::servers::ask::main()
}
