use super::*;
use crate::error::Error;

const GOLDEN: &[u8] = include_bytes!("../../../../tests/vectors/pairs.csv");
const COMES_TO: &str = include_str!("../../../../tests/vectors/pairs_judged.txt");

fn parse(rows: &str) -> Result<Pairs> {
    Pairs::parse("pairs.csv", format!("{HEADER}\n{rows}").as_bytes())
}

fn mistakes(parsed: Result<Pairs>) -> Vec<String> {
    match parsed.unwrap_err() {
        Error::Mistakes { mistakes, .. } => mistakes.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn the_golden_pairs_read_back_and_come_to_what_format_md_says() {
    let pairs = Pairs::parse("pairs.csv", GOLDEN).unwrap();
    assert_eq!(String::from_utf8(pairs.to_csv()).unwrap(), String::from_utf8_lossy(GOLDEN));
    assert_eq!(Pairs::new(pairs.rows().to_vec()), pairs);
    let judged = pairs.judge();
    let mut told = String::new();
    for pair in pairs.pairs() {
        let differ = format!("{pair}: the reviewers differ: ");
        let comes_to = match judged.problems.iter().find_map(|problem| problem.strip_prefix(&differ)) {
            Some(said) => format!("differ: {said}"),
            None if judged.same.contains(pair) => "same".into(),
            None if judged.different.contains(pair) => "different".into(),
            None if judged.open.contains(pair) => "open".into(),
            None => "not judged".into(),
        };
        told += &format!("{} | {} | {comes_to}\n", pair.first(), pair.second());
    }
    assert_eq!(told, COMES_TO);
    let told = COMES_TO.lines().filter(|line| !line.contains("differ:") && !line.ends_with("not judged"));
    assert_eq!(judged.pairs().count(), told.count());
}

#[test]
fn a_pair_has_one_order() {
    let pair = Pair::new("b", "a").unwrap();
    assert_eq!((pair.ids(), &pair), (["a", "b"], &Pair::new("a", "b").unwrap()));
    assert_eq!(Pair::new("a", "a"), None);
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let found = mistakes(parse(
        "claim,a,b,same,Ann,copy,2026-11-01,\n\
         decision,b,a,same,Ann,copy,2026-11-01,\n\
         decision,a,a,same,Ann,copy,2026-11-01,\n\
         decision,,b,same,,copy,2026-11-01,\n\
         decision,a,,equal,Ann,twin,2026-02-30,\n\
         decision,a,b,same,Ann,copy,2026-11-01,\"two\nlines\"\n\
         decision,a,b\n\
         decision,a,b,same,Ann,copy,2026-11-01,\"open\n",
    ));
    assert_eq!(
        found,
        [
            "line 2: kind 'claim' is not decision",
            "line 3: first must be the lower id by bytes: a goes before b",
            "line 4: a makes no pair with itself",
            "line 5: first must not be empty",
            "line 5: reviewer must not be empty",
            "line 6: second must not be empty",
            "line 6 says 'equal' is none of same, different, unsure, withdraw",
            "line 6: reason 'twin' is none of copy, crop, burst, same-object, look-alike, other",
            "line 6: date '2026-02-30' is not YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ",
            "line 7: evidence has a line break or another control character",
            &format!("line 9 has 3 of 8 fields: {HEADER} (a text with a comma goes in \"quotes\")"),
            "line 10: evidence ends in a line break, or its quote is never closed",
        ]
    );
    for header in ["", "source_id,group\n", crate::ledger::HEADER] {
        let found = mistakes(Pairs::parse("p", header.as_bytes()));
        assert_eq!(found, [format!("line 1: the header must be {HEADER}")]);
    }
    let latin = Pairs::parse("p", &[HEADER.as_bytes(), b"\ndecision,\xff"].concat());
    assert_eq!(mistakes(latin), ["line 2 is not UTF-8"]);
}

#[test]
fn different_images_in_one_group_are_told() {
    let pairs = parse(
        "decision,a,b,same,Ann,copy,2026-11-01,\n\
         decision,b,c,same,Ann,copy,2026-11-01,\n\
         decision,a,c,different,Ann,look-alike,2026-11-01,\n\
         decision,d,e,different,Ann,look-alike,2026-11-01,\n\
         decision,c,f,different,Ann,look-alike,2026-11-01,\n\
         decision,c,x,different,Ann,look-alike,2026-11-01,\n",
    );
    let groups = [["d", "e"], ["a", "f"]].map(|ids| ids.map(String::from).to_vec());
    let (groups, judged) = (Groups::new(groups).unwrap(), pairs.unwrap().judge());
    let told = Ties { groups: &groups, judged: &judged }.contradictions("groups.csv", "pairs.csv");
    assert_eq!(
        told,
        [
            "a and c: are different by pairs.csv, and in one group by pairs.csv: withdraw one of the decisions that \
             join them (a and b; b and c), or withdraw that they are different",
            "c and f: are different by pairs.csv, and in one group by pairs.csv: withdraw one of the decisions that \
             join them (b and c; a and b), or withdraw that they are different",
            "d and e: are different by pairs.csv, and in one group by groups.csv: take one of the two out of \
             groups.csv, or withdraw that they are different",
        ]
    );
}

/// Rolls numbers below `n`.
fn dice() -> impl FnMut(usize) -> usize {
    let mut stream = blake3::Hasher::new().finalize_xof();
    move |n: usize| {
        let mut bytes = [0; 4];
        stream.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % n
    }
}

#[test]
fn the_last_decision_of_each_reviewer_counts() {
    let mut roll = dice();
    for _ in 0..500 {
        let rows = (0..roll(30)).map(|_| Decision {
            pair: Pair::new(["a", "b", "c"][roll(3)], "d").unwrap(),
            says: Says::ALL[roll(4)],
            reviewer: ["Ann", "Bo", "Cy"][roll(3)].into(),
            reason: Reason::ALL[roll(6)],
            date: "2026-11-28".into(),
            evidence: String::new(),
        });
        let rows: Vec<Decision> = rows.collect();
        let pairs = Pairs::new(rows.clone());
        let judged = pairs.judge();
        for pair in pairs.pairs() {
            let last = |who: &str| rows.iter().rev().find(|row| row.pair == *pair && row.reviewer == who);
            let says: Vec<Says> =
                ["Ann", "Bo", "Cy"].into_iter().filter_map(last).map(|row| row.says).collect();
            let (same, different) = (says.contains(&Says::Same), says.contains(&Says::Different));
            assert_eq!(judged.same.contains(pair), same && !different);
            assert_eq!(judged.different.contains(pair), different && !same);
            assert_eq!(judged.open.contains(pair), !same && !different && says.contains(&Says::Unsure));
            let problem = judged.problems.iter().any(|line| line.starts_with(&pair.to_string()));
            assert_eq!(problem, same && different);
        }
    }
}

#[test]
fn no_text_makes_it_panic() {
    let mut roll = dice();
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
        match Pairs::parse("p", &text) {
            Ok(pairs) => assert_eq!(Pairs::parse("p", &pairs.to_csv()).unwrap(), pairs),
            Err(error) => assert!(matches!(error, Error::Mistakes { .. }), "{error}"),
        }
    }
}
