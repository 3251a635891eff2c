//! Look-ups by real programs through the C library.

mod stage;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use hostlet_model::names::Whose;

use stage::{MACHINE4, MACHINE6, SESSION4, SESSION6, Stage, output, run};

/// The first words of the lines.
fn firsts(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[test]
fn getent_shows_both_addresses_inside_the_hostlet() -> Result<()> {
    let stage = Stage::new()?;
    // getent asks for IPv6 first and shows IPv4 only without it.
    let hosts = run(stage.inside("getent", &["hosts", "vm1"]))?;
    assert_eq!(firsts(&hosts), [SESSION6, MACHINE6], "{hosts}");
    ensure!(
        hosts
            .lines()
            .all(|line| line.contains("vm1.example.org vm1")),
        "{hosts}"
    );
    let four = run(stage.inside("getent", &["ahostsv4", "vm1"]))?;
    assert_eq!(firsts(&four)[0], SESSION4, "{four}");
    let all: BTreeSet<_> = firsts(&run(stage.inside("getent", &["ahosts", "vm1"]))?)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let wanted = [SESSION4, SESSION6, MACHINE4, MACHINE6].map(str::to_owned);
    assert_eq!(all, wanted.into());
    Ok(())
}

#[test]
fn outside_the_hostlet_nothing_changes() -> Result<()> {
    let stage = Stage::new()?;
    for command in [
        &["hosts", "vm1"][..],
        &["ahosts", "vm1"],
        &["hosts", "127.0.1.1"],
    ] {
        let with = run(stage.program("..", "getent", command))?;
        std::fs::write(stage.file("nsswitch.conf"), "hosts: files\n")?;
        let without = run(stage.program("..", "getent", command))?;
        std::fs::write(stage.file("nsswitch.conf"), "hosts: hostlet files\n")?;
        assert_eq!(with, without);
        ensure!(with.contains("127.0.1.1"), "{with}");
    }
    let reverse = output(stage.program("..", "getent", &["hosts", SESSION4]))?;
    assert_eq!(reverse.status.code(), Some(2), "{reverse:?}");
    Ok(())
}

#[test]
fn a_cgroup_below_the_hostlets_belongs_to_it() -> Result<()> {
    let stage = Stage::new()?;
    let hosts = run(stage.program("below", "getent", &["hosts", "vm1"]))?;
    assert_eq!(firsts(&hosts), [SESSION6, MACHINE6]);
    Ok(())
}

#[test]
fn addresses_of_hostlet_and_machine_have_the_machines_name() -> Result<()> {
    let stage = Stage::new()?;
    let mapped = format!("::ffff:{SESSION4}");
    for address in [SESSION4, SESSION6, MACHINE4, MACHINE6, &mapped] {
        let line = run(stage.inside("getent", &["hosts", address]))?;
        let words: Vec<_> = line.split_whitespace().skip(1).collect();
        assert_eq!(words, ["vm1.example.org", "vm1"], "{address}");
    }
    Ok(())
}

#[test]
fn other_names_and_addresses_are_left_to_the_next_service() -> Result<()> {
    let stage = Stage::new()?;
    for (asked, has) in [
        ("localhost", "::1"),
        ("other", "203.0.113.5"),
        ("other.example.org", "203.0.113.5"),
        ("203.0.113.5", "other.example.org"),
        ("127.0.0.1", "localhost"),
        ("::1", "localhost"),
    ] {
        let line = run(stage.inside("getent", &["hosts", asked]))?;
        ensure!(line.contains(has), "{asked}: {line}");
    }
    for asked in ["vm1.example.net", "vm10", "vm", "x.vm1", "192.0.2.11"] {
        let nothing = output(stage.inside("getent", &["hosts", asked]))?;
        assert_eq!(nothing.status.code(), Some(2), "{asked}: {nothing:?}");
    }
    Ok(())
}

#[test]
fn the_name_is_known_in_any_case_with_domain_and_with_a_dot() -> Result<()> {
    let stage = Stage::new()?;
    for asked in ["VM1", "vm1.", "vm1.example.org", "Vm1.Example.ORG."] {
        let hosts = run(stage.inside("getent", &["hosts", asked]))?;
        assert_eq!(firsts(&hosts), [SESSION6, MACHINE6], "{asked}");
    }
    assert_eq!(run(stage.inside("hostname", &["-f"]))?, "vm1.example.org\n");
    assert_eq!(run(stage.inside("hostname", &["-d"]))?, "example.org\n");
    Ok(())
}

#[test]
fn the_order_is_the_files() -> Result<()> {
    let stage = Stage::new()?;
    let gethostbyname = "import socket; print(socket.gethostbyname_ex('vm1'))";
    let python = || run(stage.inside("python3", &["-c", gethostbyname]));
    assert_eq!(
        python()?.trim(),
        format!("('vm1.example.org', ['vm1'], ['{SESSION4}', '{MACHINE4}'])")
    );
    stage.publish(&[(MACHINE4, Whose::Machine), (SESSION4, Whose::Session)])?;
    assert_eq!(
        python()?.trim(),
        format!("('vm1.example.org', ['vm1'], ['{MACHINE4}', '{SESSION4}'])")
    );
    Ok(())
}

#[test]
fn a_family_without_an_address_is_left_to_the_next_service() -> Result<()> {
    let stage = Stage::new()?;
    stage.publish(&[(SESSION4, Whose::Session), (MACHINE4, Whose::Machine)])?;
    let hosts = run(stage.inside("getent", &["hosts", "vm1"]))?;
    assert_eq!(firsts(&hosts), [SESSION4, MACHINE4]);
    let six = output(stage.inside("getent", &["ahostsv6", "vm1"]))?;
    ensure!(
        !String::from_utf8_lossy(&six.stdout).contains(SESSION6),
        "{six:?}"
    );
    stage.publish(&[])?;
    let hosts = run(stage.inside("getent", &["hosts", "vm1"]))?;
    assert_eq!(firsts(&hosts), ["127.0.1.1"]);
    Ok(())
}

#[test]
fn curl_ssh_and_perl_go_to_the_sessions_address() -> Result<()> {
    let stage = Stage::new()?;
    for (program, args, tells) in [
        (
            "curl",
            &["-4v", "--connect-timeout", "5", "http://vm1:9/"][..],
            "Trying 192.0.2.10:9",
        ),
        (
            "ssh",
            &["-v4F", "none", "-o", "BatchMode=yes", "-p", "9", "vm1"],
            "Connecting to vm1 [192.0.2.10] port 9",
        ),
        (
            "perl",
            &[
                "-MSocket",
                "-e",
                "print STDERR inet_ntoa(scalar gethostbyname('vm1'))",
            ],
            "192.0.2.10",
        ),
    ] {
        let done = output(stage.inside(program, args))?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(said.contains(tells), "{program}: {said}");
    }
    Ok(())
}

#[test]
fn a_session_that_gets_another_address_sees_it_at_once() -> Result<()> {
    let stage = Stage::new()?;
    let script = "import socket, sys\n\
        for _ in range(2):\n    print(socket.gethostbyname('vm1'), flush=True)\n    sys.stdin.readline()";
    let mut python = stage
        .inside("python3", &["-c", script])?
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut stdout = std::io::BufReader::new(python.stdout.take().expect("piped"));
    let mut stdin = python.stdin.take().expect("piped");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line)?;
    assert_eq!(line.trim(), SESSION4);
    stage.publish(&[("192.0.2.99", Whose::Session)])?;
    std::io::Write::write_all(&mut stdin, b"\n")?;
    line.clear();
    std::io::BufRead::read_line(&mut stdout, &mut line)?;
    assert_eq!(line.trim(), "192.0.2.99");
    drop(stdin);
    ensure!(python.wait()?.success());
    Ok(())
}
