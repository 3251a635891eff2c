//! Where the programs under test are.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The probe.
pub fn probe() -> Result<PathBuf> {
    find("hostlet-probe", "HOSTLET_PROBE_BIN", "scripts/build-probe")
}

/// The client that asks at many addresses.
pub fn ask() -> Result<PathBuf> {
    find(
        "hostlet-ask",
        "HOSTLET_ASK_BIN",
        "cargo build -p hostlet-testkit",
    )
}

/// The product.
pub fn hostlet() -> Result<PathBuf> {
    find("hostlet", "HOSTLET_BIN", "cargo build -p hostlet")
}

/// The product's server component.
pub fn hostletd() -> Result<PathBuf> {
    find("hostletd", "HOSTLETD_BIN", "cargo build --bin hostletd")
}

/// The product's module for PAM.
pub fn pam() -> Result<PathBuf> {
    find(
        "libpam_hostlet.so",
        "HOSTLET_PAM_LIB",
        "cargo build -p hostlet-pam",
    )
}

/// The product's module for name services; to be installed as `libnss_hostlet.so.2`.
pub fn nss() -> Result<PathBuf> {
    find(
        "libnss_hostlet.so",
        "HOSTLET_NSS_LIB",
        "cargo build -p hostlet-nss",
    )
}

/// A test's program lies in `deps` below the directory with the programs of its build.
fn find(name: &str, variable: &str, build: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let test = std::env::current_exe().context("finding the test's own program")?;
    let place = test
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join(name))
        .find(|p| p.exists());
    match place {
        Some(path) => Ok(path),
        None => bail!("{name} is not built: run `{build}`, or set {variable} to its path"),
    }
}
