//! The client's side of a connection: pam_hostlet and the command live through whatever calls itself hostletd.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use hostlet_wire::{Client, Login, Open};

/// What is done with an input.
pub fn run(input: &[u8]) {
    let [how, input @ ..] = input else { return };
    // What a socket holds without a reader.
    let input = &input[..input.len().min(64 * 1024)];
    let (here, mut there) = UnixStream::pair().expect("a pair of sockets");
    there.write_all(input).expect("the socket holds it");
    there.shutdown(Shutdown::Write).expect("it is connected");
    let mut client = Client::over(here, Duration::from_secs(5));
    let name = "web".parse().expect("a name");
    let login = Login {
        user: "ann".to_owned(),
        service: "sshd".to_owned(),
        tty: None,
        remote: None,
    };
    // Several calls, as far as answers reach.
    for n in 0..4 {
        let went = match how.wrapping_add(n) % 10 {
            0 => client
                .open(&Open::new(vec!["lan".parse().expect("a name")]))
                .map(drop),
            1 => client.login(&login).map(drop),
            2 => client.sessions().map(drop),
            3 => client.join(&name).map(drop),
            4 => client.close(&name, true),
            5 => client.leases().map(drop),
            6 => client.pools().map(drop),
            7 => client.reload(true).map(drop),
            8 => client.logout(7),
            _ => client.info().map(drop),
        };
        if let Err(why) = went {
            let why = why.to_string();
            assert!(!why.is_empty() && why.len() < 2 * 64 * 1024);
        }
    }
}
