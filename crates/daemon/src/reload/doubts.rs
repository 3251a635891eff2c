//! What the configuration names and the machine does not have: nothing is wrong with that, but often it is a slip of the pen.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use hostlet_engine::{doubts_of_hostlets, unknown_who};
use hostlet_model::config::{Config, ProgramPattern, Rule};

/// Where PAM looks for its services.
const SERVICES: &[&str] = &["/etc/pam.d", "/usr/lib/pam.d"];

/// How long a reload waits to know: what rules name may lie on a file system that hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// As [`doubts`], or a line that says that they are not known.
pub(super) fn soon(config: &Config) -> Vec<String> {
    let (sender, found) = channel();
    let config = config.clone();
    let look = move || {
        // Nobody waits any more, then.
        let _ = sender.send(doubts(&config));
    };
    let started = thread::Builder::new().name("doubts".to_owned()).spawn(look);
    let found = started.map(|_| found.recv_timeout(PATIENCE));
    match found {
        Ok(Ok(lines)) => lines,
        _ => vec![format!(
            "rules and hostlets: whether all that they name is there cannot be found out within {} s; a file system or the user database does not answer",
            PATIENCE.as_secs()
        )],
    }
}

/// A line for each. Asks the user database and file systems, which may take their time.
pub(super) fn doubts(config: &Config) -> Vec<String> {
    let mut lines = doubts_of_hostlets(config);
    for pool in config.pools.values() {
        let who = unknown_who(&pool.may_use).chain(unknown_who(&pool.may_request));
        lines.extend(who.map(|text| format!("pool {}: {text}", pool.name)));
    }
    for rule in &config.rules {
        let of_rule = unknown_who(&rule.who)
            .chain(services(rule, SERVICES))
            .chain(rule.programs.iter().filter_map(program));
        lines.extend(of_rule.map(|text| format!("rule {}: {text}", rule.name)));
    }
    let excluded = config.sessions.exclude.iter().filter_map(|e| {
        let path = e.path.as_deref()?;
        (!exists(path)).then(|| format!("exclude: {path} is not there now"))
    });
    lines.extend(excluded);
    lines
}

fn services(rule: &Rule, dirs: &[&str]) -> impl Iterator<Item = String> {
    rule.services.iter().filter_map(move |service| {
        let there = dirs.iter().any(|dir| Path::new(dir).join(service).exists());
        // Without such a directory PAM has one file for all.
        let asked = dirs.iter().map(Path::new).find(|dir| dir.is_dir())?;
        (!there).then(|| {
            format!(
                "no login goes by service {service} now: there is no {}",
                asked.join(service).display()
            )
        })
    })
}

fn program(listed: &ProgramPattern) -> Option<String> {
    let (path, rest) = match listed {
        ProgramPattern::Path(path) => (path, ""),
        ProgramPattern::Directory(dir) => (dir, "/*"),
        ProgramPattern::All => return None,
    };
    if !exists(path) {
        return Some(format!("{path} is not there now"));
    }
    let file = fs::canonicalize(path).ok()?;
    if file != Path::new(path) {
        return Some(format!(
            "{listed} is {}{rest} without links: list that, for the kernel names no program by a link",
            file.display()
        ));
    }
    match (file.is_dir(), rest) {
        (true, "") => Some(format!(
            "{path} is a directory: write {path}/* for the files in it"
        )),
        (false, "/*") => Some(format!("{path} is no directory, so there is no {listed}")),
        _ => None,
    }
}

/// Or it cannot be said.
fn exists(path: &str) -> bool {
    !fs::metadata(path)
        .is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rules: &str) -> Vec<String> {
        doubts(&Config::parse(rules, "test.toml").unwrap())
    }

    #[test]
    fn what_is_there_is_not_doubted() {
        let file = std::env::current_exe().unwrap();
        let file = file.canonicalize().unwrap();
        let config = format!(
            r#"
            [sessions]
            exclude = ["{0}", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
            [[rule]]
            name = "a"
            who = ["user:root", "group:root", "user:4242", "group:4242", "unit:no-such.service"]
            programs = ["{0}", "{1}/*", "*"]
            per = "none"
            "#,
            file.display(),
            file.parent().unwrap().display(),
        );
        assert_eq!(lines(&config), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_has_a_line_each() {
        let dir = std::env::temp_dir().join(format!("hostletd-doubts-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let dir = dir.canonicalize().unwrap();
        let (tool, link) = (dir.join("tool"), dir.join("link"));
        fs::write(&tool, "").unwrap();
        std::os::unix::fs::symlink(&tool, &link).unwrap();
        let at = dir.display();
        let config = format!(
            r#"
            [sessions]
            exclude = ["{at}/absent", "{at}/link"]
            [[rule]]
            name = "programs"
            who = ["user:no-such-user-here", "group:no-such-group-here"]
            programs = ["{at}/absent", "{at}/absent/*", "{at}/link", "{at}", "{at}/tool/*", "{at}/tool"]
            per = "none"
            [pool.office]
            interface = "eth0"
            ranges = ["192.0.2.7"]
            may-use = ["user:root", "user:no-such-user-here"]
            [hostlet.web]
            addresses = ["192.0.2.8"]
            may-start = ["user:no-such-user-here"]
            "#,
        );
        let found = lines(&config);
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(
            found,
            [
                "hostlet web: the user database does not know user:no-such-user-here now"
                    .to_owned(),
                "pool office: the user database does not know user:no-such-user-here now"
                    .to_owned(),
                "rule programs: the user database does not know user:no-such-user-here now"
                    .to_owned(),
                "rule programs: the user database does not know group:no-such-group-here now"
                    .to_owned(),
                format!("rule programs: {at}/absent is not there now"),
                format!("rule programs: {at}/absent is not there now"),
                format!(
                    "rule programs: {at}/link is {at}/tool without links: list that, for the kernel names no program by a link"
                ),
                format!("rule programs: {at} is a directory: write {at}/* for the files in it"),
                format!("rule programs: {at}/tool is no directory, so there is no {at}/tool/*"),
                format!("exclude: {at}/absent is not there now"),
            ]
        );
    }

    #[test]
    fn a_service_has_a_file() {
        let dir = std::env::temp_dir().join(format!("hostletd-services-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("sshd"), "").unwrap();
        let config = "[[rule]]\nname = \"a\"\nper = \"none\"\nservices = [\"sshd\", \"shd\"]\n";
        let config = Config::parse(config, "test.toml").unwrap();
        let found = |dirs: &[&str]| services(&config.rules[0], dirs).collect::<Vec<_>>();
        let (here, nowhere) = (dir.to_str().unwrap(), "/nowhere");
        let said = found(&[nowhere, here]);
        let none = found(&[nowhere]);
        fs::remove_dir_all(&dir).unwrap();
        let file = dir.join("shd");
        assert_eq!(
            said,
            [format!(
                "no login goes by service shd now: there is no {}",
                file.display()
            )]
        );
        assert!(none.is_empty(), "{none:?}");
    }
}
