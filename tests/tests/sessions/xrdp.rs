//! Desktops: xrdp with a real client has an address of its own for each session.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::people::PEOPLE;
use hostlet_testkit::wait;
use hostlet_testkit::xrdp::{Desktop, Xrdp};

use crate::stage::{OFFICE, Stage, fetch, rule, within};

/// alice's desktop, by one of the X servers that xrdp knows, with more of a configuration.
fn desktop(more: &str, without: Option<&str>) -> Result<()> {
    let staff = rule("office", "").replace("\"sshd\"", "\"xrdp-sesman\"");
    let stage = Stage::new(&format!("{more}{OFFICE}{staff}"))?;
    stage.pam("xrdp-sesman", "")?;
    if let Some(server) = without {
        // The first section of a server is the one that a client gets.
        let path = stage.people.etc("xrdp/xrdp.ini");
        let text = std::fs::read_to_string(&path)?;
        let (before, rest) = text
            .split_once(&format!("\n[{server}]"))
            .context("no such X server")?;
        let (_, after) = rest.split_once("\n[").context("the only X server")?;
        std::fs::write(&path, format!("{before}\n[{after}"))?;
    }
    let keep = [stage.people.path(), stage.install.root()];
    let xrdp = Xrdp::start(&stage.host, &stage.people, &keep)?;
    let (url, page) = stage.page(false);
    let alice = PEOPLE[0];
    let errand = fetch("curl", &url);
    let mut desktop = Desktop::open(&stage.client, &stage.people, &alice, "10.0.0.1", &errand)?;
    let said = desktop.errand().with_context(|| xrdp.log())?;
    let seen = stage.asked_from(&page).with_context(|| said)?;
    ensure!(
        within(seen, "10.0.0.50", "10.0.0.99"),
        "seen as {seen}: {}",
        xrdp.log()
    );
    let own = desktop.variable("HOSTLET_ADDRESS")?;
    ensure!(
        own.split(' ').any(|a| a == seen.to_string()),
        "{own}, not {seen}"
    );
    let session = stage.session_of("alice")?;
    ensure!(session["service"] == "xrdp-sesman", "{session}");
    if without.is_some() {
        desktop.again()?;
    }
    // Clock and eyes are drawn with smooth edges: the eyes alone have 205 colours.
    let picture = stage.people.path().join("desktop.png");
    desktop.picture(&picture, 215)?;
    if let Some(to) = std::env::var_os("HOSTLET_PICTURE") {
        std::fs::copy(&picture, to).context("keeping the picture")?;
    }
    desktop.log_out()?;
    stage.nothing_left()
}

#[test]
fn a_desktop_over_rdp_has_an_address_of_its_own() -> Result<()> {
    desktop("", None)
}

/// Xvnc listens on 127.0.0.1, which would be the session's own: it has to stay outside.
#[test]
fn so_has_one_by_an_excluded_vnc_server() -> Result<()> {
    let server = std::fs::canonicalize("/usr/bin/Xvnc").context("install a VNC server")?;
    let exclude = format!("[sessions]\nexclude = [\"{}\"]\n", server.display());
    desktop(&exclude, Some("Xorg"))
}

#[test]
fn no_desktop_without_an_address() -> Result<()> {
    let full = "[pool.full]\ninterface = \"eth0\"\nprobe = \"off\"\n\
        ranges = [\"10.0.0.50-10.0.0.50\"]\n";
    let staff = rule("full", "").replace("\"sshd\"", "\"sshd\", \"xrdp-sesman\"");
    let stage = Stage::new(&format!("{full}{staff}"))?;
    stage.pam("xrdp-sesman", "")?;
    let _held = stage.login("bob")?;
    let keep = [stage.people.path(), stage.install.root()];
    let xrdp = Xrdp::start(&stage.host, &stage.people, &keep)?;
    let alice = PEOPLE[0];
    let _desktop = Desktop::open(&stage.client, &stage.people, &alice, "10.0.0.1", "")?;
    // It ends the session's process before that starts anything; the client waits in vain.
    wait::until("the session manager to give up", || {
        // In the words of version 0.9, and of 0.10.
        let log = xrdp.log();
        log.contains("terminated session:") || log.contains("Session on display 10 has finished")
    })
    .with_context(|| xrdp.log())?;
    let log = xrdp.log();
    ensure!(log.contains("Can't start PAM session"), "{log}");
    ensure!(!log.contains("Starting X server"), "{log}");
    Ok(())
}
