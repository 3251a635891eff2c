//! Performs the socket calls that it reads from its standard input.

fn main() -> std::process::ExitCode {
    hostlet_testkit::probe::main()
}
