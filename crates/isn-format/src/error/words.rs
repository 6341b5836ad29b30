//! The words of messages: numbers with their nouns, lists, and what does not exist.

use std::fmt;

use super::{Missing, There};

/// Formats a number of bytes: `512 B`, `1.50 GiB` (two decimals and a binary unit).
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    if unit == "B" { format!("{n} B") } else { format!("{value:.2} {unit}") }
}

/// Formats a number with its noun: `1 image`, `2 images`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Joins a thing and what is wrong with it: a predicate makes a sentence (`birds is a folder`), and anything
/// else follows a colon (`birds: no answer in time`).
pub fn about(what: impl fmt::Display, why: impl fmt::Display) -> String {
    const VERBS: [&str; 43] = [
        "are",
        "begins",
        "belongs",
        "can",
        "cannot",
        "claims",
        "comes",
        "counts",
        "decompresses",
        "did",
        "differs",
        "does",
        "ends",
        "follows",
        "gives",
        "had",
        "has",
        "holds",
        "ignores",
        "is",
        "lacks",
        "leads",
        "lies",
        "lists",
        "locks",
        "may",
        "must",
        "names",
        "needs",
        "occurs",
        "proves",
        "puts",
        "releases",
        "repeats",
        "says",
        "sent",
        "shows",
        "states",
        "takes",
        "took",
        "was",
        "were",
        "would",
    ];
    let why = why.to_string();
    match why.split_once(' ') {
        Some((verb, _)) if VERBS.contains(&verb) => format!("{what} {why}"),
        _ => format!("{what}: {why}"),
    }
}

pub(super) fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}

/// Returns the predicate that something exists.
pub(super) fn is_there(there: There) -> &'static str {
    match there {
        There::Running => "is still running",
        _ => "already exists",
    }
}

/// Returns the sentence that something does not exist.
pub(super) fn is_missing(kind: Missing, what: &str, place: &str) -> String {
    match kind {
        Missing::Registry | Missing::RegistryInTree | Missing::RegistryInBuild => {
            format!("{place} is not a registry: it has no {what}")
        }
        Missing::RegistryInFile => {
            format!("{place} is not a registry: it is a file, and a registry is a folder")
        }
        Missing::RegistryJson => format!("{place} is a registry that has lost its {what}"),
        Missing::Location | Missing::LocationInCache if place.is_empty() => {
            format!("there is no folder {what}, which was named as a registry")
        }
        Missing::Location | Missing::LocationInCache => {
            format!("there is no folder {what}, the registry that {place} names")
        }
        Missing::Log | Missing::AttestationLog => format!("{place} has no {what}"),
        Missing::ClassLabel => format!("{what} is the label of a class of {place}, not its id"),
        Missing::File if place.is_empty() => format!("{what} does not exist"),
        Missing::Recipe => format!("{place} has no recipe of {what}"),
        _ => format!("{what} is not in {place}"),
    }
}

/// Returns ` (it has a, b)`, or ` (id: a, b)` after a label, shortened if it gets long; empty for an empty
/// list.
pub(super) fn it_has(kind: Missing, near: &[String]) -> String {
    const SHOWN: usize = 8;
    let lead = if kind == Missing::ClassLabel { "id:" } else { "it has" };
    let shown = near[..near.len().min(SHOWN)].join(", ");
    match near.len() {
        0 => String::new(),
        n if n > SHOWN => format!(" ({lead} {shown} and {} more)", n - SHOWN),
        _ => format!(" ({lead} {shown})"),
    }
}

/// Lists the first 20 items, each on a line of its own, and the number of the rest.
pub fn cut_list<T: fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 20;
    let more = items.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!("\n  and {more} more (--json has them all)") } else { String::new() };
    list(&items[..items.len() - more]) + &rest
}
