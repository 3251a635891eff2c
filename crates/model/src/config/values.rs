//! Readers of single values. Each gives none for an absent key and for one that it has complained about.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::error::unknown;
use super::read::{Reader, Table, Value};
use super::time;
use crate::address::interface_name;

impl Reader {
    pub(super) fn interface(&mut self, t: &Table<'_>, key: &str) -> Option<String> {
        let name = self.text(t, key)?;
        if !interface_name(&name) {
            let at = t.get(key).map_or(0, |v| v.span().start);
            self.problem(at, format!("'{name}' cannot be the name of an interface"));
        }
        Some(name)
    }

    pub(super) fn known(&mut self, t: &Table<'_>, what: &str, allowed: &[&str]) {
        for (k, _) in t {
            let given: &str = k.get_ref();
            if !allowed.contains(&given) {
                self.problem(k.span().start, unknown(what, given, allowed));
            }
        }
    }

    pub(super) fn wrong_type(&mut self, v: &Value<'_>, key: &str, wanted: &str) {
        let is = v.get_ref().type_str();
        self.problem(
            v.span().start,
            format!("'{key}' must be {wanted}, this is of type {is}"),
        );
    }

    pub(super) fn section<'t, 'i>(&mut self, t: &'t Table<'i>, key: &str) -> Option<&'t Table<'i>> {
        let v = t.get(key)?;
        let table = v.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(v, key, &format!("a table: write [{key}]"));
        }
        table
    }

    pub(super) fn text(&mut self, t: &Table<'_>, key: &str) -> Option<String> {
        let v = t.get(key)?;
        match v.get_ref().as_str() {
            Some("") => {
                self.problem(
                    v.span().start,
                    format!("'{key}' is empty: leave it out instead"),
                );
                None
            }
            Some(s) => Some(s.to_owned()),
            None => {
                self.wrong_type(v, key, "a string");
                None
            }
        }
    }

    pub(super) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        t: &Table<'_>,
        key: &str,
    ) -> Option<T> {
        let at = t.get(key)?.span().start;
        let text = self.text(t, key)?;
        text.parse()
            .map_err(|e: T::Err| self.problem(at, e.to_string()))
            .ok()
    }

    pub(super) fn boolean(&mut self, t: &Table<'_>, key: &str) -> Option<bool> {
        let v = t.get(key)?;
        let b = v.get_ref().as_bool();
        if b.is_none() {
            self.wrong_type(v, key, "true or false");
        }
        b
    }

    pub(super) fn number(
        &mut self,
        t: &Table<'_>,
        key: &str,
        least: u32,
        most: u32,
    ) -> Option<u32> {
        let v = t.get(key)?;
        let Some(i) = v.get_ref().as_integer() else {
            self.wrong_type(v, key, "a whole number");
            return None;
        };
        match u32::from_str_radix(i.as_str(), i.radix()) {
            Ok(n) if (least..=most).contains(&n) => Some(n),
            _ => {
                self.problem(
                    v.span().start,
                    format!(
                        "'{key}' must be between {least} and {most}, not {}",
                        i.as_str()
                    ),
                );
                None
            }
        }
    }

    /// A length of time within these bounds.
    pub(super) fn duration(
        &mut self,
        t: &Table<'_>,
        key: &str,
        least: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let at = t.get(key)?.span().start;
        let text = self.text(t, key)?;
        match time::parse(&text) {
            Ok(d) if (least..=most).contains(&d) => Some(d),
            Ok(_) => {
                let (least, most) = (time::show(least), time::show(most));
                self.problem(
                    at,
                    format!("'{key}' must be between {least} and {most}, not {text}"),
                );
                None
            }
            Err(e) => {
                self.problem(at, format!("'{key}': {e}"));
                None
            }
        }
    }

    pub(super) fn list<T: FromStr<Err: Display>>(&mut self, t: &Table<'_>, key: &str) -> Vec<T> {
        match t.get(key) {
            None => Vec::new(),
            Some(v) => self.items(v, key).into_iter().map(|(_, x)| x).collect(),
        }
    }

    /// The items of a list of strings with their places. A single string is not taken for a list: one way to write a thing.
    pub(super) fn items<T: FromStr<Err: Display>>(
        &mut self,
        v: &Value<'_>,
        key: &str,
    ) -> Vec<(usize, T)> {
        let Some(array) = v.get_ref().as_array() else {
            self.wrong_type(v, key, "a list of strings: put it into [ ]");
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in array.iter() {
            let at = item.span().start;
            match item.get_ref().as_str() {
                Some(s) => match s.parse() {
                    Ok(x) => out.push((at, x)),
                    Err(e) => self.problem(at, format!("{key}: {e}")),
                },
                None => self.wrong_type(item, key, "a list of strings"),
            }
        }
        out
    }
}
