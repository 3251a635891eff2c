//! Man pages and completions, made from the definition that parses the command line.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;

/// Prints the completion script of a shell.
pub fn completions(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    // clap_complete panics when a write fails: give it memory, which does not.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hostlet", &mut script);
    out.write_all(&script)
}

/// Writes hostlet.1 and a page for each verb.
pub fn man(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| {
        format!(
            "cannot make the directory {}; name one that you may write",
            dir.display()
        )
    })?;
    let mut top = Cli::command();
    top.build();
    page(dir, &top, "hostlet".to_owned())?;
    for verb in top
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help")
    {
        page(dir, verb, format!("hostlet-{}", verb.get_name()))?;
    }
    Ok(())
}

fn page(dir: &Path, command: &Command, name: String) -> Result<()> {
    let path = dir.join(format!("{name}.1"));
    let usage = name.replace('-', " ");
    let command = command.clone().name(name).bin_name(usage);
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    fs::write(&path, text).with_context(|| format!("cannot write the man page {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn only_paragraphs_and_indented_lines_are_broken() {
        for verb in Cli::command().get_subcommands() {
            let text = verb.get_after_long_help().map(ToString::to_string);
            let text = text.unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.windows(2) {
                let free = |line: &str| line.is_empty() || line.starts_with(' ');
                assert!(free(pair[0]) || free(pair[1]), "{pair:?}");
            }
        }
    }

    #[test]
    fn every_verb_has_an_example_and_help_for_every_option() {
        for verb in Cli::command().get_subcommands() {
            let name = verb.get_name();
            assert!(verb.get_about().is_some(), "{name} has no help");
            let after = verb
                .get_after_long_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(after.contains("Example:\n  "), "{name} has no example");
            for arg in verb.get_arguments() {
                assert!(
                    arg.get_help().is_some(),
                    "{name}: {} has no help",
                    arg.get_id()
                );
            }
        }
    }

    #[test]
    fn every_reading_verb_has_json() {
        for name in [
            "list", "show", "members", "sockets", "check", "explain", "events", "history", "pools",
            "leases", "sessions", "doctor",
        ] {
            let top = Cli::command();
            let verb = top.find_subcommand(name).unwrap();
            assert!(
                verb.get_arguments().any(|arg| arg.get_id() == "json"),
                "{name}"
            );
            let after = verb
                .get_after_long_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                after.contains("JSON (--json):"),
                "{name} does not document its JSON"
            );
        }
    }
}
