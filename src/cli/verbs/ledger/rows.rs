//! The text and JSON of a ledger's rows.

use serde_json::{Value, json};

use isn_format::ledger::{Claim, Decision, Row};

pub(super) fn said(row: &Row) -> String {
    match row {
        Row::Claim(claim) => claimed(claim),
        Row::Decision(decision) => decided(decision),
    }
}

pub(super) fn claimed(claim: &Claim) -> String {
    let Claim { says, source, date, evidence, .. } = claim;
    format!("{source} claims {says}{} ({date})", after(evidence))
}

pub(super) fn decided(decision: &Decision) -> String {
    let Decision { verdict, reason, source, reviewer, date, evidence, .. } = decision;
    let source = if source.is_empty() { String::new() } else { format!(", after {source}") };
    format!("{reviewer} decides {verdict}: {}{}{source} ({date})", reason.as_str(), after(evidence))
}

fn after(evidence: &str) -> String {
    if evidence.is_empty() { String::new() } else { format!(": {evidence}") }
}

pub(super) fn row(row: &Row) -> Value {
    match row {
        Row::Claim(one) => claim(one),
        Row::Decision(one) => decision(one),
    }
}

pub(super) fn claim(claim: &Claim) -> Value {
    let Claim { source_id, says, source, date, evidence } = claim;
    json!({
        "kind": "claim", "source_id": source_id, "says": says.as_str(), "source": source, "date": date,
        "labels": says.classes().iter().map(|class| class.as_str()).collect::<Vec<_>>(), "evidence": evidence,
    })
}

pub(super) fn decision(decision: &Decision) -> Value {
    let Decision { source_id, verdict, reason, source, reviewer, date, evidence } = decision;
    json!({
        "kind": "decision", "source_id": source_id, "says": verdict.as_str(), "reason": reason.as_str(),
        "labels": verdict.classes().iter().map(|class| class.as_str()).collect::<Vec<_>>(),
        "source": source, "reviewer": reviewer, "date": date, "evidence": evidence,
    })
}
