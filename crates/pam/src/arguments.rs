//! What the administrator wrote behind the module's name.

use std::path::PathBuf;
use std::time::Duration;

use hostlet_model::Paths;

/// The arguments of the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// The root of another installation than the system's.
    pub root: Option<PathBuf>,
    /// The longest wait; none: what the configuration says.
    pub deadline: Option<Duration>,
    /// Whether details are logged.
    pub debug: bool,
    /// Whether the user is told nothing.
    pub silent: bool,
}

impl Arguments {
    /// Reads them. What is not understood is ignored, for nobody may be locked out by a typing error; a sentence for the log is given
    /// back for each.
    pub fn parse<'a>(given: impl IntoIterator<Item = &'a str>) -> (Arguments, Vec<String>) {
        let mut arguments = Arguments::default();
        let mut wrong = Vec::new();
        for argument in given {
            match argument.split_once('=') {
                None if argument == "debug" => arguments.debug = true,
                None if argument == "silent" => arguments.silent = true,
                // Relative to what would be up to whoever logs in.
                Some(("root", dir)) if dir.starts_with('/') => arguments.root = Some(dir.into()),
                Some(("root", dir)) => wrong.push(format!(
                    "root={dir} is ignored: write an absolute path, such as root=/srv/hostlet"
                )),
                Some(("deadline", time)) => match duration(time) {
                    Some(time) => arguments.deadline = Some(time),
                    None => wrong.push(format!(
                        "deadline={time} is ignored: write a time from 100ms to 10m, such as deadline=10s or deadline=500ms"
                    )),
                },
                _ => wrong.push(format!(
                    "the argument '{argument}' is ignored: root=DIR, deadline=TIME, debug and silent are understood"
                )),
            }
        }
        (arguments, wrong)
    }

    /// Where that installation has its files.
    pub fn paths(&self) -> Paths {
        match &self.root {
            Some(root) => Paths::under(root),
            None => Paths::system(),
        }
    }
}

/// `10s`, `500ms`, `1m`: at least a tenth of a second, and at most ten minutes.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => number,
        "s" => number.checked_mul(1000)?,
        "m" => number.checked_mul(60_000)?,
        _ => return None,
    };
    (100..=600_000)
        .contains(&milliseconds)
        .then(|| Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        let (read, wrong) = Arguments::parse(["root=/srv/x", "deadline=1500ms", "debug", "silent"]);
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(
            read,
            Arguments {
                root: Some("/srv/x".into()),
                deadline: Some(Duration::from_millis(1500)),
                debug: true,
                silent: true,
            }
        );
    }

    #[test]
    fn what_is_not_understood_is_ignored_with_a_word() {
        let given = [
            "",
            "=",
            "root",
            "root=",
            "root=x",
            "deadline",
            "deadline=",
            "deadline=10",
            "deadline=s",
            "deadline=0s",
            "deadline=99999999999999999999s",
            "deadline=18446744073709551615m",
            "deadline=11m",
            "deadline=-1s",
            "debug=yes",
            "Debug",
            "no_warn",
        ];
        let (read, wrong) = Arguments::parse(given);
        assert_eq!(read, Arguments::default());
        assert_eq!(wrong.len(), given.len(), "{wrong:#?}");
    }

    #[test]
    fn times_have_bounds() {
        assert_eq!(duration("10m"), Some(Duration::from_secs(600)));
        assert_eq!(duration("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(duration("99ms"), None);
    }
}
