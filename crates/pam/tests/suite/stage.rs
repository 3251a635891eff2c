//! What the tests have in common.

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use hostlet_testkit::dir::TestDir;
use hostlet_wire::Login;
use pam_hostlet::arguments::Arguments;

/// Rules for users that every machine has: the system's accounts that are named. Nobody's rule is first, so that a
/// decision that takes any rule would be wrong.
pub const RULES: &str = r#"
[pool.office]
interface = "eth0"
ranges = ["192.0.2.100-192.0.2.199"]

[[rule]]
name = "none"
who = ["user:mail"]
per = "none"

[[rule]]
name = "strict"
who = ["user:root"]
services = ["sshd", "door"]
per = "session"
pools = ["office"]

[[rule]]
name = "cut"
who = ["user:bin"]
per = "session"
pools = ["office"]
unavailable = "cut-off"

[[rule]]
name = "soft"
who = ["user:daemon"]
per = "user"
pools = ["office"]
unavailable = "fall-back"

[[rule]]
name = "people"
per = "session"
pools = ["office"]
"#;

/// An installation without hostletd.
pub struct Place {
    pub dir: TestDir,
}

impl Place {
    /// With a configuration that hostletd had taken over.
    pub fn new() -> Result<Place> {
        let place = Place::bare()?;
        place.write("hostletd.toml", RULES)?;
        Ok(place)
    }

    /// Without any.
    pub fn bare() -> Result<Place> {
        let dir = TestDir::new("pam")?;
        std::fs::create_dir(dir.path().join("run")).context("making run")?;
        Ok(Place { dir })
    }

    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        std::fs::write(self.dir.path().join(name), text).context("writing a file")
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn socket(&self) -> PathBuf {
        self.root().join("run/hostletd.sock")
    }

    pub fn listen(&self) -> Result<UnixListener> {
        UnixListener::bind(self.socket()).context("listening")
    }

    /// The module's arguments here, with a deadline.
    pub fn arguments(&self, deadline: Duration) -> Arguments {
        Arguments {
            root: Some(self.root().to_owned()),
            deadline: Some(deadline),
            ..Arguments::default()
        }
    }
}

/// A login of a user by ssh.
pub fn login(user: &str) -> Login {
    Login {
        user: user.into(),
        service: "sshd".into(),
        tty: Some("ssh".into()),
        remote: Some("192.0.2.7".into()),
    }
}

/// Reads until a whole message is there, or the other end is closed.
pub fn message(stream: &mut UnixStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1)) && byte[0] != 0 {
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).into_owned()
}
