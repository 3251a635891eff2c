//! Connects to a local socket, and leaves at the end of its input: `visitor SOCKET`.

use std::io::{Read, stdin};
use std::os::unix::net::UnixStream;

fn main() -> std::io::Result<()> {
    let path = std::env::args_os().nth(1).unwrap_or_default();
    let _connection = UnixStream::connect(path)?;
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
