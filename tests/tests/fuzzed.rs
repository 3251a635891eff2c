//! All that the fuzzer has kept (`make fuzz`), and the examples that it began with, go through what its targets call. So what
//! an hour's fuzzing found once is tried by every `make test`, without a fuzzer.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use hostlet_testkit::dir::TestDir;

const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz");

/// A test for each target.
macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() -> Result<()> {
                replay(stringify!($name), targets::$name::run)
            }
        )*

        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

replays!(answers config dhcp4 dhcp6 frames local modules varlink words);

/// Whatever the fuzzer works at is replayed here.
#[test]
fn every_target_is_replayed() -> Result<()> {
    let targets = Path::new(FUZZ).join("fuzz_targets");
    let mut found = BTreeSet::new();
    for path in files(&targets)? {
        found.insert(path.file_stem().context("a name")?.to_owned());
    }
    let replayed: BTreeSet<OsString> = REPLAYED.iter().map(Into::into).collect();
    ensure!(
        found == replayed,
        "fuzzed: {found:?}, replayed: {replayed:?}"
    );
    Ok(())
}

fn replay(name: &str, run: fn(&[u8])) -> Result<()> {
    let corpus = Path::new(FUZZ).join("corpus");
    let archive = corpus.join(format!("{name}.tar.gz"));
    let kept = TestDir::new(&format!("fuzzed-{name}"))?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(&archive).arg("-C").arg(kept.path());
    let done = tar.status().context("starting tar")?;
    ensure!(done.success(), "{}: tar: {done}", archive.display());

    let mut inputs = files(&corpus.join(name))?;
    let by_hand = inputs.len();
    inputs.extend(files(kept.path())?);
    ensure!(by_hand > 0, "no example of {name}");
    ensure!(
        inputs.len() > by_hand + 20,
        "next to nothing is kept of {name}"
    );

    // Some inputs have to wait for an end of patience.
    let part = inputs.len().div_ceil(32);
    std::thread::scope(|scope| {
        let parts: Vec<_> = inputs
            .chunks(part)
            .map(|part| scope.spawn(move || part.iter().try_for_each(|path| one(path, run))))
            .collect();
        for part in parts {
            match part.join() {
                Ok(done) => done?,
                Err(_) => bail!("{name}: a thread panicked"),
            }
        }
        Ok(())
    })
}

fn one(path: &Path, run: fn(&[u8])) -> Result<()> {
    let input = fs::read(path).with_context(|| path.display().to_string())?;
    // What it says is on standard error.
    if catch_unwind(|| run(&input)).is_err() {
        let name = path.file_name().unwrap_or_default();
        bail!("{}: {}", name.display(), input.escape_ascii());
    }
    Ok(())
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}
