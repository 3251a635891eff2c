//! hostlet and its alternatives in one table, for who chooses among them.

use std::fmt::Write as _;

use super::Results;
use super::print::number;
use super::row::{KERNELS_PART, Row};
use crate::coming::ONES_MEMORY;

/// The figures that tell most of what differs: section, figure, and its column.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("web", "connections in, 32 at a time", "connections in"),
    ("web", "connections out, 32 at a time", "connections out"),
    (
        "web",
        "requests on 32 connections kept alive",
        "requests, kept alive",
    ),
    ("throughput", "in, 1 stream", "throughput in, 1 stream"),
    (
        "udp",
        "answered on the wildcard, first address",
        "datagrams answered",
    ),
    ("latency", "median", "latency, median (less is better)"),
];

/// What making one takes, in all ways.
const LISTS: &[(&str, &str)] = &[
    ("starting", "to start true"),
    ("starting", "to create a hostlet, or a namespace with veth"),
    ("crowd", ONES_MEMORY),
];

/// The table and two lists; nothing if nothing of it was measured.
pub fn glance(page: &mut String, results: &Results) {
    let columns = COLUMNS.iter().filter_map(|(section, what, head)| {
        let row = row(results, section, what)?;
        row.baseline.as_ref().map(|_| (row, *head))
    });
    let columns: Vec<(&Row, &str)> = columns.collect();
    if columns.is_empty() {
        return;
    }
    let heads = columns.iter().map(|(_, head)| format!(" {head} |"));
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "## At a glance\n\nAs shares of native, each the median of its rounds' quotients; the sections below have how sure each is. The\nalternatives have few rounds: they tell half from nine tenths, but not 0.95 from 1. What each way is and does not do is [below](#how-to-read-this).\n\n\
         | |{}\n|---|{}\n",
        heads.collect::<String>(),
        "---|".repeat(columns.len())
    );
    let mut names: Vec<&str> = Vec::new();
    for way in columns.iter().flat_map(|(row, _)| &row.ways) {
        let native = columns[0].0.baseline.as_ref();
        if !names.contains(&way.name.as_str()) && native.is_some_and(|(base, _)| *base != way.name)
        {
            names.push(&way.name);
        }
    }
    for name in names {
        let mark = if name == "hostlet" { "**" } else { "" };
        let _ = write!(page, "| {mark}{name}{mark} |");
        for (row, _) in &columns {
            let way = row.ways.iter().find(|way| way.name == name);
            let against = way.and_then(|way| way.against.as_ref());
            let text = against.map_or("–".to_owned(), |against| format!("{:.2}", against.median));
            let _ = write!(page, " {mark}{text}{mark} |");
        }
        page.push('\n');
    }
    page.push('\n');
    for (section, what) in LISTS {
        let Some(row) = row(results, section, what) else {
            continue;
        };
        let ways = row.ways.iter().filter(|way| way.name != KERNELS_PART);
        let ways = ways.filter_map(|way| {
            let median = way.samples.as_ref()?.median;
            let name = match way.at {
                Some(_) => format!("each of {} hostlets", way.name),
                None => way.name.clone(),
            };
            Some(format!("{name} {}", number(median)))
        });
        let all = ways.collect::<Vec<_>>().join(" · ");
        let _ = writeln!(page, "- **{what}**, {}: {all}", row.unit);
    }
    page.push('\n');
}

fn row<'a>(results: &'a Results, section: &str, what: &str) -> Option<&'a Row> {
    let section = results.sections.iter().find(|one| one.id == section)?;
    section.rows.iter().find(|row| row.what == what)
}
