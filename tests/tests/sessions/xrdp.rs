//! Desktops: xrdp with a real client has an address of its own for each session.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::people::PEOPLE;
use hostlet_testkit::xrdp::{Desktop, Xrdp};

use crate::stage::{OFFICE, Stage, fetch, rule, within};

#[test]
fn a_desktop_over_rdp_has_an_address_of_its_own() -> Result<()> {
    let staff = rule("office", "").replace("\"sshd\"", "\"xrdp-sesman\"");
    let stage = Stage::new(&format!("{OFFICE}{staff}"))?;
    stage.pam("xrdp-sesman", "")?;
    let keep = [stage.people.path(), stage.install.root()];
    let xrdp = Xrdp::start(&stage.host, &stage.people, &keep)?;
    let (url, page) = stage.page(false);
    let alice = PEOPLE[0];
    let errand = fetch("curl", &url);
    let desktop = Desktop::open(&stage.client, &stage.people, &alice, "10.0.0.1", &errand)?;
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
    // Clock and eyes are drawn with smooth edges: far more colours than black and white.
    let picture = stage.people.path().join("desktop.png");
    desktop.picture(&picture, 20)?;
    if let Some(to) = std::env::var_os("HOSTLET_PICTURE") {
        std::fs::copy(&picture, to).context("keeping the picture")?;
    }
    desktop.log_out()?;
    stage.nothing_left()
}
