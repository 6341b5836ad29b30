//! Statements that were appended to a log, or that wait for signatures.

use std::path::Path;

use serde_json::{Value, json};

use super::path_json;
use crate::cli::console::Page;
use crate::cli::output::Output;
use isn_format::error::count;
use isn_format::statement::Statement;
use isn_registry::steps::submit::{Fate, Submitted};

/// Prints what became of submitted statements.
pub(in crate::cli) fn print(output: &Output, submitted: &[Submitted]) {
    let mut text = Page::default();
    for one in submitted {
        let title = one.statement.title();
        match &one.fate {
            Fate::Logged(index) => {
                let log =
                    if matches!(one.statement, Statement::Rebuilt(_)) { "attestation log" } else { "log" };
                writeln!(text, "{title} is entry {index} of the {log}")
            }
            Fate::Collecting(file, missing) => writeln!(text, "{title}: {}", collecting(file, *missing)),
        };
    }
    let list: Vec<Value> = submitted
        .iter()
        .map(|one| {
            let mut object = statement_json(&one.statement);
            fate_json(&mut object, &one.fate);
            object
        })
        .collect();
    output.print_done(&text, json!({ "statements": list }));
}

/// Describes how to finish a statement that waits for signatures.
pub(in crate::cli) fn collecting(file: &Path, missing: usize) -> String {
    let file = file.display();
    let lack = match missing {
        0 => "needs no more signatures".to_string(),
        n => format!("needs {}", count(n, "more signature")),
    };
    format!(
        "written to {file}; it {lack}: `isn sign {file} --key NAME` adds one, `isn append {file} --registry \
         DIR` appends it to the log"
    )
}

pub(in crate::cli) fn fate_json(object: &mut Value, fate: &Fate) {
    match fate {
        Fate::Logged(index) => object["entry"] = json!(index),
        Fate::Collecting(file, missing) => {
            object["file"] = path_json(file);
            object["missing_signatures"] = json!(missing);
        }
    }
}

pub(in crate::cli) fn statement_json(statement: &Statement) -> Value {
    json!({
        "kind": statement.kind(),
        "name": statement.name(),
        "version": statement.version(),
        "statement": statement.to_string(),
    })
}
