//! Reads SPDX licence expressions, as far as crates use them.

/// What a dependency may be under, so that hostlet can be given on as Apache-2.0 OR MIT.
const ACCEPTED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Can a licence that is on the list be chosen from this expression?
pub fn acceptable(expression: &str) -> Result<bool, String> {
    // Before SPDX, crates.io wrote "A/B" for "A OR B".
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let answer = either(&mut words)?;
    match words.next() {
        None => Ok(answer),
        Some(rest) => Err(format!("unexpected '{rest}'")),
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words) -> Result<bool, String> {
    let mut answer = both(words)?;
    while words.next_if_eq(&"OR").is_some() {
        // Not `||`: the right side has to be read in any case.
        answer |= both(words)?;
    }
    Ok(answer)
}

fn both(words: &mut Words) -> Result<bool, String> {
    let mut answer = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        answer &= one(words)?;
    }
    Ok(answer)
}

fn one(words: &mut Words) -> Result<bool, String> {
    match words.next() {
        Some("(") => {
            let answer = either(words)?;
            match words.next() {
                Some(")") => Ok(answer),
                other => Err(format!("expected ')', found {other:?}")),
            }
        }
        Some(word @ ("AND" | "OR" | "WITH" | ")")) => Err(format!("unexpected '{word}'")),
        Some(licence) => {
            // An exception only ever permits more.
            if words.next_if_eq(&"WITH").is_some() && words.next().is_none() {
                return Err("WITH needs the name of an exception".to_owned());
            }
            Ok(ACCEPTED.contains(&licence))
        }
        None => Err("no licence".to_owned()),
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    for (expression, wanted) in [
        ("MIT", Ok(true)),
        ("GPL-3.0-only", Ok(false)),
        ("MIT/Apache-2.0", Ok(true)),
        ("LGPL-2.1-only OR BSD-2-Clause", Ok(true)),
        ("MIT AND GPL-2.0", Ok(false)),
        ("MIT OR GPL-2.0 AND GPL-3.0", Ok(true)),
        ("(MIT OR GPL-2.0) AND GPL-3.0", Ok(false)),
        ("Apache-2.0 WITH LLVM-exception OR MIT", Ok(true)),
        ("", Err(())),
        ("MIT OR", Err(())),
        ("(MIT", Err(())),
        ("MIT MIT", Err(())),
    ] {
        assert_eq!(acceptable(expression).map_err(drop), wanted, "{expression}");
    }
}
