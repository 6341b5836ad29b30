use super::policy::{OpenBecause, Policy, Rule, Several};
use super::*;
use crate::class::{Class, ClassId};
use crate::corrections::Action;
use crate::error::{Error, Result};

const GOLDEN: &[u8] = include_bytes!("../../../../tests/vectors/ledger.csv");

fn old(rows: &str) -> Result<Ledger> {
    Ledger::parse("corrections.csv", format!("{OLD_HEADER}\n{rows}").as_bytes())
}

fn new(rows: &str) -> Result<Ledger> {
    Ledger::parse("ledger.csv", format!("{HEADER}\n{rows}").as_bytes())
}

fn mistakes(parsed: Result<Ledger>) -> Vec<(usize, String)> {
    match parsed.unwrap_err() {
        Error::Mistakes { mistakes, .. } => mistakes.into_iter().map(|m| (m.line.unwrap(), m.why)).collect(),
        other => panic!("{other}"),
    }
}

fn id(text: &str) -> ClassId {
    text.parse().unwrap()
}

fn classes(ids: &[&str]) -> Vec<Class> {
    ids.iter().map(|one| Class { id: id(one), label: (*one).into(), group: None }).collect()
}

#[test]
fn the_golden_ledger_reads_back_to_the_same_bytes() {
    let ledger = Ledger::parse("ledger.csv", GOLDEN).unwrap();
    assert_eq!(String::from_utf8(ledger.to_csv()).unwrap(), String::from_utf8_lossy(GOLDEN));
    assert_eq!(Ledger::new(ledger.rows().to_vec()), ledger);
    assert_eq!(ledger.claims("i1").map(|claim| claim.says.to_string()).collect::<Vec<_>>(), ["n2", "n2"]);
    let opinions = ledger.opinions("i5");
    assert_eq!(
        opinions.iter().map(|o| (o.reviewer.as_str(), o.verdict.as_str())).collect::<Vec<_>>(),
        [("Ann", "keep"), ("Bo", "remove")]
    );
    assert_eq!(ledger.conflicts().iter().map(|c| c.source_id).collect::<Vec<_>>(), ["i5"]);
}

#[test]
fn an_image_that_is_kept_may_have_other_classes_that_are_right() {
    let text = "kind,source_id,says,labels,reason,source,reviewer,date,evidence\n\
                decision,i1,keep,n2 n3,several,,Ann,2026-11-24,\n\
                decision,i1,keep,n2,several,,Bo,2026-11-25,\n\
                decision,i2,keep,,correct,,Ann,2026-11-24,\n\
                decision,i2,keep,n3,several,,Bo,2026-11-24,\n\
                decision,i2,keep,,correct,,Bo,2026-11-26,\n\
                decision,i3,keep,n9,several,,Ann,2026-11-24,\n\
                decision,i4,keep,n2,several,,Ann,2026-11-24,\n\
                decision,i4,remove,,several,,Bo,2026-11-24,\n";
    let ledger = Ledger::parse("ledger.csv", text.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(ledger.to_csv()).unwrap(), text);
    assert_eq!(ledger.conflicts().iter().map(|one| one.source_id).collect::<Vec<_>>(), ["i4"]);
    let classes = classes(&["n1", "n2", "n3"]);
    let policy = Policy { rule: Rule::Agree(1), several: Several::Remove, together: Vec::new() };
    let ids = ["i1", "i2", "i3", "i4"];
    let own = id("n1");
    let settled = policy.settle(&ledger, &classes, ids.iter().map(|image| (*image, &own)));
    let also: Vec<(&str, &[ClassId])> =
        settled.corrections.iter().map(|one| (one.source_id.as_str(), one.also())).collect();
    assert_eq!(also, [("i1", &[id("n2")][..]), ("i2", &[])]);
    assert_eq!(
        settled.problems,
        [
            "i3: keep, also n9, which is no class of the recipe",
            "i4: the reviewers differ: Ann says keep, also n2, Bo says remove"
        ]
    );
}

#[test]
fn the_golden_ledger_comes_to_the_golden_corrections() {
    let ledger = Ledger::parse("ledger.csv", GOLDEN).unwrap();
    let classes = classes(&["n1", "n2", "n3"]);
    let given: Vec<(String, ClassId)> = (1..=12).map(|i| (format!("i{i}"), id("n1"))).collect();
    let policy = Policy {
        rule: Rule::Agree(2),
        several: Several::Keep,
        together: vec![vec!["mturk".into(), "cleanlab".into()]],
    };
    let settled = policy.settle(&ledger, &classes, given.iter().map(|(id, class)| (id.as_str(), class)));
    let mut told = String::from("source_id,comes to,because\n");
    for correction in settled.corrections.iter() {
        told += &format!("{},{},{}\n", correction.source_id, correction.action, correction.because);
    }
    for open in &settled.open {
        told += &format!("{},open,{}\n", open.source_id, open.why.as_str());
    }
    settled.problems.iter().for_each(|problem| told += &format!("{problem}\n"));
    assert_eq!(told, include_str!("../../../../tests/vectors/ledger_settled.txt"));
}

#[test]
fn a_lead_of_votes_decides_if_nothing_else_has_as_great_a_one() {
    let classes = classes(&["n1", "n2", "n3"]);
    let together = vec![vec!["a".into(), "b".into()]];
    // What each source says, and what it comes to with a lead of 1, of 2 and of 3.
    for (said, results) in [
        ("c n2", ["n2", "open", "open"]),
        ("c n2, d n2", ["n2", "n2", "open"]),
        // Two that are not independent count as one, on either side.
        ("a n2, b n2", ["n2", "open", "open"]),
        ("c n2, d n2, a n1, b n1", ["n2", "open", "open"]),
        ("c n2, d n2, e n2, a n1, b n1", ["n2", "n2", "open"]),
        // Votes for anything else are against.
        ("c n2, d n1", ["open", "open", "open"]),
        ("c n2, d n2, e n3", ["n2", "open", "open"]),
        ("c n2, d n2, e n3, f n3", ["open", "open", "open"]),
        ("c n1, d n1, e n2", ["stays", "open", "open"]),
        ("c n1, d n1, e n1, f n2", ["stays", "stays", "open"]),
        ("c n9, d n2, e n2", ["n2", "open", "open"]),
    ] {
        let rows: String = said
            .split(", ")
            .map(|one| one.split_once(' ').unwrap())
            .map(|(source, label)| format!("claim,i1,label,{label},,{source},,2024-01-01,\n"))
            .collect();
        let ledger = new(&rows).unwrap();
        for (net, result) in [1, 2, 3].into_iter().zip(results) {
            let policy = Policy { rule: Rule::Net(net), several: Several::Keep, together: together.clone() };
            let settled = policy.settle(&ledger, &classes, [("i1", &id("n1"))]);
            let found = match (settled.corrections.iter().next(), settled.open.first()) {
                (Some(correction), None) => match &correction.action {
                    Action::Relabel(class) => class.to_string(),
                    action => action.to_string(),
                },
                (None, Some(_)) => "open".into(),
                (None, None) => "stays".into(),
                both => panic!("{both:?}"),
            };
            assert_eq!(found, result, "{said}, net {net}");
        }
    }
}

#[test]
fn without_a_policy_only_reviewers_decide() {
    let ledger = Ledger::parse("ledger.csv", GOLDEN).unwrap();
    let n1 = id("n1");
    let settled = Policy::default().settle(
        &ledger,
        &classes(&["n1", "n2", "n3"]),
        [("i1", &n1), ("i4", &n1), ("i9", &n1)],
    );
    let actions: Vec<_> = settled.corrections.iter().map(|c| (c.source_id.as_str(), &c.action)).collect();
    assert_eq!(actions, [("i4", &Action::Remove), ("i9", &Action::Relabel(id("n3")))]);
    assert_eq!((settled.open[0].source_id.as_str(), settled.open[0].why), ("i1", OpenBecause::TooFew));
}

#[test]
fn an_older_file_is_read_as_decisions() {
    let ledger = old("a,remove,,\"blurred, dark\",audit 1,Ann,2024-02-29\n\
         b,relabel,n2,is a kite,ReaL,,2024-01-31\n\
         \"c,d\",keep,,right,\"says \"\"Ann\"\"\",Ann,2000-02-29\n")
    .unwrap();
    let told = String::from_utf8(ledger.to_csv()).unwrap();
    assert_eq!(
        told.lines().skip(1).collect::<Vec<_>>(),
        [
            "decision,a,remove,,other,audit 1,Ann,2024-02-29,\"blurred, dark\"",
            "decision,b,relabel,n2,wrong-label,ReaL,unnamed,2024-01-31,is a kite",
            "decision,\"c,d\",keep,,correct,\"says \"\"Ann\"\"\",Ann,2000-02-29,right",
        ]
    );
    assert!(old("").unwrap().is_empty());
    assert_eq!(Ledger::parse("l", told.as_bytes()).unwrap(), ledger);
}

#[test]
fn every_mistake_of_an_older_file_is_told_with_its_line() {
    let found = mistakes(old("a,delete,,r,s,,2024-01-01\n\
         b,relabel,,r,s,,2024-01-01\n\
         c,remove,n1,,s,,2023-02-29\n\
         d,keep,,r,s,,2024-01-01\n\
         d,keep,,r,s,,2024-01-01\n\
         d,remove,,r, ,,2024-1-1\n\
         short,keep\n\
         ,keep,,r,s,,2024-04-31\n\
         e,keep,,\"two\nlines\",s,,2024-01-01\n"));
    let expected = [
        (2, "action 'delete' is not remove, relabel or keep"),
        (3, "to '' is not a class"),
        (4, "reason must not be empty"),
        (4, "date '2023-02-29' is not a day written YYYY-MM-DD"),
        (4, "to must be empty for remove"),
        (6, "d already has a row at line 5: an image may have one row"),
        (7, "source must not be empty"),
        (7, "date '2024-1-1' is not a day written YYYY-MM-DD"),
        (7, "d contradicts the row at line 5: an image may have one row"),
        (8, &format!("has 2 of 7 fields: {OLD_HEADER} (a text with a comma goes in \"quotes\")")),
        (9, "source_id must not be empty"),
        (9, "date '2024-04-31' is not a day written YYYY-MM-DD"),
        (10, "reason has a line break or another control character"),
    ];
    assert_eq!(found, expected.map(|(line, why)| (line, why.to_owned())));
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let found = mistakes(new("claim,a,label,,,s,,2024-01-01,\n\
         claim,a,label,n1 n2,,s,,2024-01-01,\n\
         claim,a,none,n1,why,,Ann,2024-01-01T25:00:00Z,\n\
         claim,a,perhaps,,,s,,2024-01-01,\n\
         claim,a,several,n1  n2,,s,,2024-01-01,\n\
         decision,a,keep,,fine,,Ann,2024-01-01,\n\
         decision,a,remove,n1,blank,,,2024-01-01,\n\
         decision,,relabel,,other,,Ann,2024-01-01T10:00:00Z,\n\
         decision,a,drop,,other,,Ann,2024-01-01,\n\
         rumour,a,keep,,other,,Ann,2024-01-01,\n\
         claim,a\n"));
    let codes: Vec<_> = Reason::ALL.iter().map(|code| code.as_str()).collect();
    let expected = [
        (2, "labels must be one class for label, and are 0".to_owned()),
        (3, "labels must be one class for label, and are 2".into()),
        (4, "date '2024-01-01T25:00:00Z' is not YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ".into()),
        (4, "source must not be empty".into()),
        (4, "reason must be empty for a claim".into()),
        (4, "reviewer must be empty for a claim".into()),
        (4, "labels must be empty for none".into()),
        (5, "says 'perhaps' is not what a claim says: label, several, none or unclear".into()),
        (6, "labels: class id '' has an empty segment".into()),
        (7, format!("reason 'fine' is none of {}", codes.join(", "))),
        (8, "reviewer must not be empty".into()),
        (8, "labels must be empty for remove".into()),
        (9, "source_id must not be empty".into()),
        (9, "labels must be one class for relabel, and are 0".into()),
        (10, "says 'drop' is not what a decision says: keep, remove, relabel, unsure or withdraw".into()),
        (11, "kind 'rumour' is not claim or decision".into()),
        (12, format!("has 2 of 9 fields: {HEADER} (a text with a comma goes in \"quotes\")")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_header_is_exact_and_windows_line_ends_are_read() {
    for bad in ["", "source_id,action\n", "source_id,action,to,reason,source,reviewer,date,note\n"] {
        let error = Ledger::parse("c.csv", bad.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("line 1: the header must be kind,"), "{bad:?}: {error}");
    }
    let error = Ledger::parse("c.csv", &[HEADER.as_bytes(), b"\n\xff,keep"].concat());
    assert!(error.unwrap_err().to_string().contains("line 2 is not UTF-8"));
    let text = format!("\u{feff}{HEADER}\r\nclaim,a,none,,,s,,2024-01-01,\r\n");
    assert_eq!(Ledger::parse("c", text.as_bytes()).unwrap().rows().len(), 1);
}

#[test]
fn two_reviewers_copies_merge_without_loss() {
    let base = "claim,a,none,,,real,,2024-01-01,\n";
    let (ann, bo) =
        ("decision,a,remove,,blank,,Ann,2024-02-01,\n", "decision,a,keep,,correct,,Bo,2024-02-02,\n");
    let undo = "decision,a,withdraw,,other,,Bo,2024-02-03,\n";
    let left = new(&format!("{base}{ann}")).unwrap();
    let right = new(&format!("{base}{bo}")).unwrap();
    let merged = left.merge(&right);
    assert_eq!(merged, new(&format!("{base}{ann}{bo}")).unwrap());
    assert_eq!(merged.conflicts().len(), 1);
    assert_eq!(merged.merge(&right), merged, "a second merge adds nothing");
    let undone = merged.merge(&new(&format!("{base}{bo}{undo}")).unwrap());
    assert!(undone.conflicts().is_empty());
    // Decided, withdrawn, decided again: two equal rows stay two rows.
    let again = new(&format!("{base}{bo}{undo}{bo}")).unwrap();
    assert_eq!(undone.merge(&again).opinions("a").len(), 2);
}

#[test]
fn no_text_makes_it_panic() {
    let mut dice = blake3::Hasher::new().finalize_xof();
    let mut roll = |n: usize| {
        let mut bytes = [0; 4];
        dice.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % n
    };
    for _ in 0..2000 {
        let mut text = GOLDEN.to_vec();
        for _ in 0..=roll(4) {
            let at = roll(text.len());
            let end = (at + roll(12)).min(text.len());
            match roll(3) {
                0 => drop(text.drain(at..end)),
                1 => text[at] = b"\",\n\0\xc3 n"[roll(7)],
                _ => text.extend_from_within(at..end),
            }
        }
        match Ledger::parse("l", &text) {
            Ok(ledger) => assert_eq!(Ledger::parse("l", &ledger.to_csv()).unwrap(), ledger),
            Err(error) => assert!(matches!(error, Error::Mistakes { .. }), "{error}"),
        }
    }
}
