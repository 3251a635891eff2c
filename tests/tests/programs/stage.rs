//! A machine with hostletd, a pool, and programs that say in which cgroup they are.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use hostlet_testkit::hostletd::Hostletd;
use hostlet_testkit::install::Installation;
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::segment::Segment;

/// The user that rules here are about; the user database does not know him.
pub const USER: u32 = 4711;

pub struct Stage {
    pub daemon: Option<Hostletd>,
    pub install: Installation,
    pub host: NetNs,
    /// Programs, which everybody may start.
    pub bin: PathBuf,
    _segment: Segment,
}

impl Stage {
    /// With `show`, which rules may list, and `other`; and with these rules.
    pub fn new(rules: impl Fn(&str) -> String) -> Result<Stage> {
        let (install, segment) = (Installation::new()?, Segment::new()?);
        let host = NetNs::new("host")?;
        segment.plug(&host, "eth0", &["10.0.0.1/24"])?;
        let name = format!("hlt-programs-{}", host.path().replace('/', "-"));
        let bin = std::env::temp_dir().join(name);
        fs::create_dir_all(&bin)?;
        fs::set_permissions(&bin, fs::Permissions::from_mode(0o755))?;
        let mut stage = Stage {
            daemon: None,
            install,
            host,
            bin: bin.canonicalize()?,
            _segment: segment,
        };
        for name in ["show", "other"] {
            stage.sh(&format!("cp -L /bin/cat {}", stage.path(name)))?;
        }
        stage.configure(&rules(&stage.bin.display().to_string()))?;
        stage.daemon = Some(Hostletd::start(&stage.install, &stage.host)?);
        Ok(stage)
    }

    pub fn configure(&self, rules: &str) -> Result<()> {
        let text = format!(
            "[pool.office]\ninterface = \"eth0\"\nprobe = \"off\"\n\
             ranges = [\"10.0.0.50-10.0.0.51\"]\n{rules}"
        );
        let path = self.install.root().join("hostlet.toml");
        fs::write(path, text).context("writing the configuration")
    }

    pub fn reload(&self) -> Result<()> {
        self.install.run(&self.host, &["reload"]).map(drop)
    }

    pub fn path(&self, name: &str) -> String {
        self.bin.join(name).display().to_string()
    }

    pub fn sh(&self, script: &str) -> Result<String> {
        self.host.run("sh", &["-ec", script])
    }

    /// A command of the user's.
    pub fn user(&self, program: &str) -> Command {
        let mut command = self.host.command("setpriv");
        let id = USER.to_string();
        command.args([
            "--reuid",
            &id,
            "--regid",
            &id,
            "--clear-groups",
            "--",
            program,
        ]);
        command
    }

    /// Where a program is that the user starts: the hostlet's name, or none.
    pub fn place(&self, name: &str) -> Result<Option<String>> {
        let mut command = self.user(&self.path(name));
        hostlet(command.arg("/proc/self/cgroup").output()?)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.bin);
    }
}

/// The hostlet in what a process says of its cgroups.
pub fn hostlet(output: Output) -> Result<Option<String>> {
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    let path = text.lines().find_map(|l| l.strip_prefix("0::"));
    let path = path.with_context(|| format!("no cgroup in {text:?}"))?;
    let mut parts = path.split('/').skip_while(|p| !p.starts_with("hostlet"));
    Ok(parts.nth(1).map(str::to_owned))
}

/// A rule about programs of the user's.
pub fn rule(programs: &str, more: &str) -> String {
    format!(
        "[[rule]]\nname = \"tools\"\nwho = [\"user:{USER}\"]\nper = \"program\"\n\
         programs = [\"{programs}\"]\npools = [\"office\"]\n{more}\n"
    )
}
