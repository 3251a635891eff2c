//! Scripts as text and as steps.

use std::fmt::Write as _;

use anyhow::{Result, bail};

/// One line of a script.
#[derive(Debug, Clone)]
pub struct Step {
    /// Who performs it: `in`, `other`, `host`, `peer`.
    pub actor: String,
    /// The op, with `/child` before it if a child performs it.
    pub line: String,
    /// What machines answer, by `|`; nothing: any success.
    pub real: Option<String>,
    /// What hostlets answer where that differs.
    pub hostlet: Option<String>,
    /// Which known difference that is.
    pub known: Option<String>,
}

/// A parsed script.
#[derive(Debug, Clone)]
pub struct Script {
    /// The name of the addresses of `in`.
    pub set: String,
    /// Options for the start of `in`.
    pub options: Vec<String>,
    /// In the order of their performance.
    pub steps: Vec<Step>,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// When a line has no actor or no op, or a difference no id.
    pub fn parse(text: &str) -> Result<Script> {
        let mut script = Script {
            set: "two".into(),
            options: Vec::new(),
            steps: Vec::new(),
        };
        for raw in text.lines() {
            let line = raw.split('#').next().unwrap_or("").trim();
            if line.is_empty() {
                continue;
            }
            let (call, answers) = match line.split_once("=>") {
                Some((call, answers)) => (call.trim(), Some(answers)),
                None => (line, None),
            };
            let words: Vec<&str> = call.split_whitespace().collect();
            match words[..] {
                ["set", name] => script.set = name.into(),
                ["hostlet", ref options @ ..] => {
                    script.options = options.iter().map(|o| (*o).into()).collect();
                }
                [actor, _, ..] => script.steps.push(step(actor, &words[1..], answers)?),
                _ => bail!("no step: {raw}"),
            }
        }
        Ok(script)
    }

    /// A table of calls and answers; `wrong` lines are marked.
    pub(super) fn table(
        &self,
        real: &[String],
        hostlets: Option<&[String]>,
        wrong: &[bool],
    ) -> String {
        let mut text = String::new();
        for (i, step) in self.steps.iter().enumerate() {
            let mark = if wrong[i] { "!" } else { " " };
            let call = format!("{:<6}{}", step.actor, step.line);
            let _ = write!(text, "{mark} {call:<52} {:<28}", real[i]);
            if let Some(hostlets) = hostlets {
                let _ = write!(text, " {}", hostlets[i]);
            } else if wrong[i] {
                let wanted = step.real.as_deref().unwrap_or("success");
                let _ = write!(text, " (script: {wanted})");
            }
            text.push('\n');
        }
        text
    }

    /// The ids of known differences that it cites.
    pub fn cites(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| step.known.as_deref())
    }
}

fn step(actor: &str, op: &[&str], answers: Option<&str>) -> Result<Step> {
    let (actor, child) = actor.split_once('/').unwrap_or((actor, ""));
    let mut line = op.join(" ");
    if !child.is_empty() {
        line = format!("/{child} {line}");
    }
    let (mut real, mut hostlet, mut known) = (None, None, None);
    if let Some(answers) = answers {
        let (first, second) = match answers.split_once(" / ") {
            Some((first, second)) => (first, Some(second)),
            None => (answers, None),
        };
        real = Some(first.trim().to_owned());
        if let Some(second) = second {
            let (second, id) = cited(second.trim());
            hostlet = Some(second.to_owned());
            known = id.map(str::to_owned);
        }
    }
    Ok(Step {
        actor: actor.into(),
        line,
        real,
        hostlet,
        known,
    })
}

/// `ANSWER [id]`; an address in brackets is no id.
fn cited(answer: &str) -> (&str, Option<&str>) {
    let found = answer
        .rsplit_once(" [")
        .and_then(|(before, id)| Some((before.trim(), id.strip_suffix(']')?)));
    match found {
        Some((before, id)) if !id.contains(':') => (before, Some(id)),
        _ => (answer, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read() {
        let script = Script::parse(
            "set one\nhostlet --source random\n# nothing\n in bind a 0.0.0.0:80 => ok / EADDRINUSE [udp-host-port] # why\n in/c name a\n",
        )
        .unwrap();
        assert_eq!(script.set, "one");
        assert_eq!(script.options, ["--source", "random"]);
        assert_eq!(script.steps.len(), 2);
        assert_eq!(script.steps[0].real.as_deref(), Some("ok"));
        assert_eq!(script.steps[0].hostlet.as_deref(), Some("EADDRINUSE"));
        assert_eq!(script.steps[0].known.as_deref(), Some("udp-host-port"));
        assert_eq!(script.steps[1].line, "/c name a");
    }

    #[test]
    fn an_address_is_no_id() {
        assert_eq!(cited("from [::1]:*"), ("from [::1]:*", None));
        assert_eq!(cited("x from [::1]"), ("x from [::1]", None));
        assert_eq!(cited("ok [some-id]"), ("ok", Some("some-id")));
    }
}
