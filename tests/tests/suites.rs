//! A18 by the judgement of others: the tests of CPython's sockets and of Go's net end as
//! on a machine. `make suites` runs more of them. They need root.

use anyhow::{Result, ensure};
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::suites::{self, Terms};

fn judge(name: &str) -> Result<()> {
    let logs = TestDir::new("suites")?;
    let known = hostlet_tests::foreign::known()?;
    let verdict = suites::judge(suites::find(name)?, Terms::default(), &known, logs.path())?;
    ensure!(verdict.holds(), "{}", verdict.text(name));
    Ok(())
}

#[test]
fn sockets_of_python() -> Result<()> {
    judge("python-socket")
}

#[test]
fn net_of_go() -> Result<()> {
    judge("go-net")
}
