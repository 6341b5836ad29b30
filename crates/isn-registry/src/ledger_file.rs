//! The file of a ledger: rows are added by one writer at a time, and every row that was acknowledged stays.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

use crate::files;
use isn_format::error::{Error, Mistake, Result};
use isn_format::ledger::{HEADER, Ledger, Row};

/// Adds rows at the end of a file, and returns when they are on the disk; makes the file if there is none, and turns
/// one of the older form into the present one. Gives the ledger that the file is then.
///
/// # Errors
/// What [`Ledger::parse`] refuses, and rows with a field that is a formula to a spreadsheet, before anything is
/// changed. After an error of the disk the file has its former length.
pub fn append(path: &Path, rows: &[Row]) -> Result<Ledger> {
    extend(path, |_| rows.to_vec())
}

/// As [`append`], of the rows that `rows` makes of the ledger as it is: nobody adds others meanwhile.
pub fn extend(path: &Path, mut rows: impl FnMut(&Ledger) -> Vec<Row>) -> Result<Ledger> {
    let what = path.display().to_string();
    loop {
        let Some((mut file, bytes)) = open_alone(path)? else {
            let all = rows(&Ledger::default());
            check(path, &all)?;
            let ledger = Ledger::new(all);
            match ledger.is_empty() || files::create_new(path, &ledger.to_csv())? {
                true => return Ok(ledger),
                // Somebody else has just made it.
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
            files::overwrite(path, &ledger.to_csv())?;
            return Ok(ledger);
        }
        let mut added = String::new();
        if !bytes.ends_with(b"\n") {
            added.push('\n');
        }
        new.iter().for_each(|row| added += &row.to_csv());
        let written = file.write_all(added.as_bytes()).and_then(|()| file.sync_data());
        written.map_err(|error| {
            // Half a row must not stay; if this fails too, the next parse names the line.
            let _ = file.set_len(bytes.len() as u64);
            Error::io("write", path)(error)
        })?;
        return Ok(ledger);
    }
}

/// Refuses to put a new file in the place of one that has other names: they would keep the old one.
fn check_alone(file: &File, path: &Path) -> Result<()> {
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&file.metadata().map_err(Error::io("look at", path))?) > 1 {
        let why = "has the older form, which is written anew as a whole, and other names (hard links) that would keep what it \
                   was: give it a file of its own (`cp LEDGER NEW && mv NEW LEDGER`)";
        return Err(Error::invalid(path.display(), why));
    }
    let _ = (file, path);
    Ok(())
}

fn check(path: &Path, rows: &[Row]) -> Result<()> {
    let formulas = rows.iter().flat_map(Row::formulas);
    let mistakes: Vec<Mistake> = formulas.map(|why| Mistake { line: None, why }).collect();
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(Error::Mistakes { what: format!("what is to be added to {}", path.display()), mistakes })
}

/// Opens a file to add to it when no other isn does, with what is in it; `None` where there is none. Where the file system
/// has no locks, whoever else adds at the same moment is not waited for.
fn open_alone(path: &Path) -> Result<Option<(File, Vec<u8>)>> {
    loop {
        let mut file = match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return files::behind_links(path).map(|_| None);
            }
            Err(e) => return Err(Error::io("write", path)(e)),
        };
        if !file.metadata().map_err(Error::io("look at", path))?.is_file() {
            return Err(Error::invalid(path.display(), "is no file"));
        }
        files::wait_for_lock(&file, path);
        // Whoever held it may have put another file in its place.
        if !files::is_same(file.metadata(), path.metadata()) {
            continue;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
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
