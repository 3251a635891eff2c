//! Accounts, services and homes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{FROM_ROOT, HOST_NAME, PEOPLE, PLAIN};

pub(super) fn write_etc(dir: &Path) -> Result<()> {
    let done = Command::new("cp").args(["-a", "/etc"]).arg(dir).output();
    let done = done.context("starting cp")?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "copying /etc: {said}");
    let etc = dir.join("etc");
    // The system's own accounts stay: daemons change to them.
    let mut files = ["passwd", "shadow", "group", "gshadow"].map(|name| (name, String::new()));
    for (name, text) in &mut files {
        let number = |line: &str| line.split(':').nth(2).and_then(|n| n.parse::<u32>().ok());
        let of_people = |line: &str| {
            PEOPLE
                .iter()
                .any(|p| line.split(':').next() == Some(p.name))
        };
        let shadowed = name.ends_with("shadow");
        for line in fs::read_to_string(etc.join(*name)).context(*name)?.lines() {
            let system = shadowed || number(line).is_some_and(|n| !(1000..65534).contains(&n));
            if system && !of_people(line) {
                text.push_str(line);
                if matches!(*name, "group" | "gshadow") {
                    add_members(line, text);
                }
                text.push('\n');
            }
        }
    }
    for p in PEOPLE {
        let (name, uid) = (p.name, p.uid);
        files[0].1 += &format!("{name}:x:{uid}:{uid}:{name}:/home/{name}:/bin/bash\n");
        files[1].1 += &format!("{name}:{}:19000:0:99999:7:::\n", p.hash);
        files[2].1 += &format!("{name}:x:{uid}:\n");
        files[3].1 += &format!("{name}:!::\n");
    }
    for (name, text) in files {
        // Written in place, so that owner and mode stay.
        fs::write(etc.join(name), text).with_context(|| format!("writing {name}"))?;
    }
    fs::write(etc.join("hostname"), format!("{HOST_NAME}\n"))?;
    fs::write(etc.join("hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
    let names = "passwd: files\ngroup: files\nshadow: files\ngshadow: files\nhosts: files\n";
    fs::write(etc.join("nsswitch.conf"), names)?;
    for service in ["sshd", "login", "cron", "other"] {
        fs::write(etc.join("pam.d").join(service), PLAIN)?;
    }
    for service in ["su", "su-l"] {
        fs::write(
            etc.join("pam.d").join(service),
            format!("{FROM_ROOT}{PLAIN}"),
        )?;
    }
    Ok(())
}

/// The group `staff` ends with its members; so does its line in gshadow.
fn add_members(line: &str, text: &mut String) {
    if line.starts_with("staff:") {
        for p in PEOPLE.iter().filter(|p| p.staff) {
            if !text.ends_with(':') {
                text.push(',');
            }
            text.push_str(p.name);
        }
    }
}

pub(super) fn make_homes(dir: &Path) -> Result<()> {
    for p in PEOPLE {
        let home = dir.join("home").join(p.name);
        make_directory(&home, 0o700)?;
        chown(&home, Some(p.uid), Some(p.uid))
            .context("these tests need root: a home cannot be given to its owner")?;
    }
    Ok(())
}

pub(super) fn make_directory(at: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(at).with_context(|| format!("making {}", at.display()))?;
    fs::set_permissions(at, fs::Permissions::from_mode(mode))
        .with_context(|| format!("opening {} to its readers", at.display()))
}
