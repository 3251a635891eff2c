//! What a program must never notice: files that are not as they should be, small buffers, threads.

mod stage;

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hostlet_model::names::{OwnNames, Whose};

use stage::{SESSION4, Stage, output, run};

/// Where the script lies.
fn script(name: &str) -> String {
    format!("{}/tests/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What the machine's name stands for inside, within some seconds.
fn looked_up(stage: &Stage) -> Result<String> {
    run(stage.inside("timeout", &["20", "getent", "hosts", "vm1"]))
}

#[test]
fn buffers_of_every_size_and_alignment_are_respected() -> Result<()> {
    let stage = Stage::new()?;
    let good = run(stage.inside("python3", &[&script("careful.py")]))?;
    // Six ways to ask, nine alignments, and most sizes suffice.
    ensure!(good.trim().parse::<u32>()? > 6 * 9 * 100, "{good}");
    Ok(())
}

#[test]
fn threads_and_forked_children_look_up_at_once_and_leave_nothing() -> Result<()> {
    let stage = Stage::new()?;
    let script = script("threads.py");
    let done = run(stage.inside("timeout", &["60", "python3", &script]))?;
    assert_eq!(done, "well\n");
    Ok(())
}

#[test]
fn a_file_that_is_none_is_as_no_file() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.own_file();
    let right = fs::read(&file)?;
    let of_another = OwnNames {
        cgroup: "/another".into(),
        addresses: vec![(SESSION4.parse()?, Whose::Session)],
    };
    for content in [
        &b""[..],
        b"\n",
        b"cgroup",
        b"cgroup \nsession 192.0.2.10\n",
        &right[..right.len() / 4],
        &[0; 9000],
        &[b'\n'; 200_000],
        &[0xff; 200_000],
        b"\x7fELF\0\0\0cgroup /\nsession\n",
        of_another.render().as_bytes(),
    ] {
        fs::write(&file, content)?;
        let said = looked_up(&stage)?;
        ensure!(said.starts_with("127.0.1.1"), "{content:?}: {said}");
    }
    // The rest of a damaged file counts.
    fs::write(
        &file,
        [&right[..], b"session 1.2.3\n\xff\xff 1\nsession"].concat(),
    )?;
    ensure!(looked_up(&stage)?.starts_with("2001:db8::10"));
    Ok(())
}

#[test]
fn what_cannot_be_read_keeps_no_program_waiting() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.own_file();
    let next_answers = |what: &str| -> Result<()> {
        let said = looked_up(&stage).with_context(|| what.to_owned())?;
        ensure!(said.starts_with("127.0.1.1"), "{what}: {said}");
        let done = output(stage.inside("getent", &["hosts", SESSION4]))?;
        ensure!(done.status.code() == Some(2), "{what}: {done:?}");
        Ok(())
    };
    fs::remove_file(&file)?;
    next_answers("no file")?;

    let path = CString::new(file.as_os_str().as_bytes())?;
    // SAFETY: the string lives through the call.
    ensure!(unsafe { libc::mkfifo(path.as_ptr(), 0o644) } == 0);
    next_answers("a pipe without a writer")?;
    let writer = fs::OpenOptions::new().read(true).write(true).open(&file)?;
    next_answers("a pipe with a silent writer")?;
    drop(writer);
    fs::remove_file(&file)?;

    fs::create_dir(&file)?;
    next_answers("a directory")?;
    fs::remove_dir(&file)?;
    symlink(&file, &file)?;
    next_answers("a link to itself")?;
    fs::remove_file(&file)?;
    symlink("/dev/zero", &file)?;
    next_answers("a file without an end")?;

    fs::remove_dir_all(stage.names())?;
    next_answers("no directory")?;
    fs::write(stage.names(), "")?;
    next_answers("a file for the directory")
}

#[test]
fn the_machines_domain_is_told_only_by_a_file_of_hosts() -> Result<()> {
    let stage = Stage::new()?;
    for hosts in [&b""[..], &[0xff; 100_000], b"vm1\n\n \n\t\nvm1 vm1\n"] {
        fs::write(stage.file("hosts"), hosts)?;
        let said = looked_up(&stage)?;
        let words: Vec<_> = said.split_whitespace().take(2).collect();
        assert_eq!(words, ["2001:db8::10", "vm1"], "{said}");
    }
    Ok(())
}

#[test]
fn a_large_set_is_answered_whole() -> Result<()> {
    let stage = Stage::new()?;
    let texts: Vec<_> = (0..256).map(|i| format!("10.0.0.{i}")).collect();
    let all: Vec<_> = texts.iter().map(|t| (t.as_str(), Whose::Session)).collect();
    stage.publish(&all)?;
    let count = "import socket; print(len(socket.gethostbyname_ex('vm1')[2]), \
        len({a[4][0] for a in socket.getaddrinfo('vm1', None)}))";
    assert_eq!(run(stage.inside("python3", &["-c", count]))?, "256 256\n");
    Ok(())
}

/// A set-user-ID program takes the module from the system's cache of libraries, and the names from the usual directory, whatever
/// its caller's environment says.
#[test]
fn a_privileged_program_takes_no_directory_from_its_caller() -> Result<()> {
    let stage = Stage::new()?;
    fs::set_permissions(stage.dir.path(), fs::Permissions::from_mode(0o755))?;
    let cache = stage.file("ld.so.cache");
    let list = stage.file("ld.so.conf");
    fs::write(
        &list,
        format!("{}\ninclude /etc/ld.so.conf\n", stage.libraries().display()),
    )?;
    let made = Command::new("/sbin/ldconfig")
        .arg("-C")
        .arg(&cache)
        .arg("-f")
        .arg(&list)
        .arg("-X")
        .output()?;
    ensure!(made.status.success(), "{made:?}");
    let getent = stage.file("getent");
    fs::copy("/usr/bin/getent", &getent)?;

    let usual = Path::new("/run/hostlet/names");
    let ask = |by: &str| -> Result<String> {
        let script = format!(
            "set -e; mount --bind {cache} /etc/ld.so.cache; mount -t tmpfs -o mode=755 names /run; \
             mkdir -p {usual}; cp -a {names}/. {usual}; \
             exec setpriv --reuid 65534 --clear-groups env HOSTLET_NAMES_DIR={by} {getent} hosts vm1",
            cache = cache.display(),
            usual = usual.display(),
            names = stage.names().display(),
            getent = getent.display(),
        );
        run(stage.inside("sh", &["-c", &script]))
    };
    // As an ordinary program it goes where it is told.
    ensure!(ask("/nowhere")?.starts_with("127.0.1.1"));
    fs::set_permissions(&getent, fs::Permissions::from_mode(0o4755))?;
    let said = ask("/nowhere")?;
    ensure!(said.starts_with("2001:db8::10"), "{said}");
    Ok(())
}
