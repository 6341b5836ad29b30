//! The file of a ledger: one writer at a time adds rows, and no row is lost once it was acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::files;
use isn_format::error::{Error, Mistake, Result};
use isn_format::ledger::{HEADER, Ledger, MAX_LEN, Row};

/// The maximum number of mistakes that are told of rows to add: all rows may have the same.
const MAX_MISTAKES: usize = 1000;

/// Appends rows to a ledger file, and returns the whole ledger once they are on disk. Creates the file if
/// there is none, and rewrites one of the older format in the present one.
///
/// # Errors
/// Fails as [`Ledger::parse`] does, with [`Error::Mistakes`] if a row could not be read back, or a
/// spreadsheet would run a field of it as a formula, and with [`Error::Invalid`] if the file is or would be
/// too long; nothing is changed then. After a write error the file has its former length.
pub fn append(path: &Path, rows: &[Row]) -> Result<Ledger> {
    extend(path, |_| rows.to_vec())
}

/// As [`append`], but `rows` makes the new rows from the present ledger, which nobody changes meanwhile.
///
/// # Errors
/// As [`append`].
pub fn extend(path: &Path, mut rows: impl FnMut(&Ledger) -> Vec<Row>) -> Result<Ledger> {
    let what = path.display().to_string();
    loop {
        let Some((mut file, bytes)) = open_alone(path)? else {
            files::check_is_path(path)?;
            let all = rows(&Ledger::default());
            check(path, &all)?;
            let ledger = Ledger::new(all);
            let text = ledger.to_csv();
            check_len(path, text.len())?;
            match ledger.is_empty() || files::create_new(path, &text)? {
                true => return Ok(ledger),
                // Another process has just created it.
                false => continue,
            }
        };
        let old = Ledger::parse_or_empty(&what, &bytes)?;
        let new = rows(&old);
        check(path, &new)?;
        let ledger = Ledger::new([old.rows(), &new].concat());
        if new.is_empty() {
            return Ok(ledger);
        }
        if !bytes.starts_with(HEADER.as_bytes()) {
            check_alone(&file, path)?;
            let text = ledger.to_csv();
            check_len(path, text.len())?;
            files::overwrite(path, &text)?;
            return Ok(ledger);
        }
        let mut added = String::new();
        if !bytes.ends_with(b"\n") {
            added.push('\n');
        }
        new.iter().for_each(|row| added += &row.to_csv());
        check_len(path, bytes.len() + added.len())?;
        let written = file.write_all(added.as_bytes()).and_then(|()| file.sync_data());
        written.map_err(|error| {
            // Half a row must not remain. If this fails too, the next parse names the line.
            let _ = file.set_len(bytes.len() as u64);
            Error::io("write", path)(error)
        })?;
        return Ok(ledger);
    }
}

/// Refuses to replace a file that has hard links: they would keep the old contents.
fn check_alone(file: &File, path: &Path) -> Result<()> {
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&file.metadata().map_err(Error::io("look at", path))?) > 1 {
        let why = "has the older format and hard links, which would keep the old contents when it is \
                   rewritten: make it a file of its own (`cp LEDGER NEW && mv NEW LEDGER`)";
        return Err(Error::invalid(path.display(), why));
    }
    let _ = (file, path);
    Ok(())
}

/// Refuses rows that a spreadsheet would run, and such as could not be read back: one with a line break or
/// without a source would make the whole ledger unreadable.
fn check(path: &Path, rows: &[Row]) -> Result<()> {
    let mut wrong: Vec<String> = rows.iter().flat_map(Row::formulas).collect();
    for some in rows.chunks(1 << 10) {
        if !mistakes_of(some).is_empty() {
            wrong.extend(some.iter().flat_map(|row| {
                let why = |mistake: Mistake| format!("{}: {}", row.source_id(), mistake.why);
                mistakes_of(std::slice::from_ref(row)).into_iter().map(why)
            }));
        }
        if wrong.len() > MAX_MISTAKES {
            break;
        }
    }
    wrong.truncate(MAX_MISTAKES);
    let mistakes: Vec<Mistake> = wrong.into_iter().map(|why| Mistake { line: None, why }).collect();
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(Error::Mistakes { what: format!("what is to be added to {}", path.display()), mistakes })
}

/// Returns what is wrong with rows when they are read back.
fn mistakes_of(rows: &[Row]) -> Vec<Mistake> {
    let text: String = std::iter::once(format!("{HEADER}\n")).chain(rows.iter().map(Row::to_csv)).collect();
    match Ledger::parse("", text.as_bytes()) {
        Err(Error::Mistakes { mistakes, .. }) => mistakes,
        _ => Vec::new(),
    }
}

/// Checks that a ledger of `length` bytes could be read again.
fn check_len(path: &Path, length: usize) -> Result<()> {
    if length as u64 <= MAX_LEN {
        return Ok(());
    }
    let why = format!("would have {length} bytes, and may have at most {MAX_LEN}: begin another ledger");
    Err(Error::invalid(path.display(), why))
}

/// Opens a file for appending, alone among isn processes, and reads it; returns `None` if there is no file.
/// Where the file system has no locks, it does not wait for other writers.
fn open_alone(path: &Path) -> Result<Option<(File, Vec<u8>)>> {
    loop {
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return files::behind_links(path).map(|_| None);
            }
            Err(e) => return Err(Error::io("write", path)(e)),
        };
        if !file.metadata().map_err(Error::io("look at", path))?.is_file() {
            return Err(Error::invalid(path.display(), "is not a file"));
        }
        files::wait_for_lock(&file, path);
        // The last holder of the lock may have replaced the file.
        if !files::is_same(file.metadata(), path.metadata()) {
            continue;
        }
        let bytes = files::read_to_cap(&file, path, MAX_LEN).map_err(files::as_input)?;
        return Ok(Some((file, bytes)));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use isn_format::ledger::OLD_HEADER;

    const GOLDEN: &[u8] = include_bytes!("../../../tests/vectors/ledger.csv");

    #[test]
    fn rows_are_added_to_the_file_and_an_older_one_becomes_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.csv");
        let ledger = Ledger::parse("ledger.csv", GOLDEN).unwrap();
        for row in ledger.rows() {
            append(&path, std::slice::from_ref(row)).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), GOLDEN);
        // A hand-edited file may lack the last line feed.
        fs::write(&path, GOLDEN.trim_ascii_end()).unwrap();
        append(&path, &ledger.rows()[..1]).unwrap();
        assert_eq!(
            Ledger::parse("l", &fs::read(&path).unwrap()).unwrap().rows().len(),
            ledger.rows().len() + 1
        );

        fs::write(&path, format!("{OLD_HEADER}\na,remove,,r,s,Ann,2024-01-01\n")).unwrap();
        append(&path, &ledger.rows()[..1]).unwrap();
        let grown = Ledger::parse("l", &fs::read(&path).unwrap()).unwrap();
        assert_eq!((grown.rows().len(), grown.rows()[0].source_id()), (2, "a"));

        fs::write(&path, "nonsense\n").unwrap();
        assert!(append(&path, ledger.rows()).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"nonsense\n");
    }
}
