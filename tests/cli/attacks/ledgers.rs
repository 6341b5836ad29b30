//! A ledger keeps every decision that was acknowledged, whoever else writes to it and whichever path its file
//! is reached by.

use std::process::{Command, Stdio};

use crate::sandbox::{Sandbox, ended};

const HEADER: &str = "kind,source_id,says,labels,reason,source,reviewer,date,evidence";
const OLD_HEADER: &str = "source_id,action,to,reason,source,reviewer,date";

fn decision<'a>(ledger: &'a str, id: &'a str) -> [&'a str; 8] {
    ["ledger", "add", ledger, id, "keep", "--reason", "correct", "--reviewer=Ann"]
}

#[test]
fn rows_of_many_writers_at_once_are_all_kept() {
    let sandbox = Sandbox::new();
    let lists: Vec<String> = (0..4).map(|i| format!("list{i}.csv")).collect();
    for (i, list) in lists.iter().enumerate() {
        sandbox.write(list, format!("source_id\nlisted{i}\n").as_bytes());
    }
    let ids: Vec<String> = (0..8).map(|i| format!("added{i}")).collect();
    // A ledger that does not exist yet, and one in the older format that every writer finds.
    let begins = [None, Some(format!("{OLD_HEADER}\nfirst,keep,,r,s,Bo,2024-01-01\n"))];
    for (begin, round) in begins.iter().zip(1..).chain(begins.iter().zip(3..)) {
        let ledger = format!("ledger{round}.csv");
        if let Some(begin) = begin {
            sandbox.write(&ledger, begin.as_bytes());
        }
        let adds = ids.iter().map(|id| sandbox.command(&decision(&ledger, id)));
        let imports =
            lists.iter().map(|list| sandbox.command(&["ledger", "import", &ledger, list, "--source=s"]));
        let spawn =
            |mut command: Command| command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let children: Vec<_> = adds.chain(imports).map(spawn).collect();
        for child in children {
            ended(child).ok();
        }
        let text = String::from_utf8(sandbox.read(&ledger)).unwrap();
        let rows = ids.len() + lists.len() + usize::from(begin.is_some());
        assert_eq!(text.lines().count(), 1 + rows, "{text}");
        sandbox.isn(&["ledger", "show", &ledger]).ok();
    }
}

#[test]
fn quote_that_is_open_at_the_end_takes_no_row_in() {
    let sandbox = Sandbox::new();
    let row = "decision,a,keep,,correct,,Ann,2024-01-01,\"not so";
    for (header, row) in [(HEADER, row), (OLD_HEADER, "a,keep,,r,s,Ann,\"2024-01-01")] {
        let text = format!("{header}\n{row}");
        sandbox.write("ledger.csv", text.as_bytes());
        sandbox.write("other.csv", format!("{HEADER}\nclaim,b,none,,,s,,2024-01-01,\n").as_bytes());
        for args in [
            &["ledger", "show", "ledger.csv"][..],
            &decision("ledger.csv", "b"),
            &["ledger", "import", "ledger.csv", "other.csv"],
            &["ledger", "import", "other.csv", "ledger.csv"],
        ] {
            sandbox.isn(args).fails(1, "line 2: ").fails(1, "or its quote is never closed");
        }
        assert_eq!(sandbox.read("ledger.csv"), text.as_bytes());
        // With the quote closed, it is a valid ledger.
        sandbox.write("ledger.csv", format!("{text}\"").as_bytes());
        sandbox.isn(&decision("ledger.csv", "b")).ok();
        sandbox.isn(&["ledger", "show", "ledger.csv", "--image", "b"]).ok();
    }
}

#[cfg(unix)]
#[test]
fn link_to_a_ledger_stays_and_its_file_gets_the_row() {
    let sandbox = Sandbox::new();
    for (begin, name) in [
        (format!("{OLD_HEADER}\na,keep,,r,s,Ann,2024-01-01\n"), "old.csv"),
        (format!("{HEADER}\n"), "new.csv"),
        (String::new(), "empty.csv"),
    ] {
        let (file, link) = (format!("recipes/{name}"), format!("link-to-{name}"));
        sandbox.write(&file, begin.as_bytes());
        std::os::unix::fs::symlink(&file, sandbox.path(&link)).unwrap();
        sandbox.isn(&decision(&link, "b")).ok();
        assert!(sandbox.path(&link).is_symlink(), "{name}");
        sandbox.isn(&["ledger", "show", &file, "--image", "b"]).ok();
    }
    std::os::unix::fs::symlink("nowhere.csv", sandbox.path("dangling.csv")).unwrap();
    sandbox.isn(&decision("dangling.csv", "b")).fails(1, "is a link that leads nowhere");
    assert!(sandbox.path("dangling.csv").is_symlink());
}
