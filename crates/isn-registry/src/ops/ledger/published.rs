//! [`read`]: label claims that others have published, from text and from NumPy's files.

use std::path::Path;

use crate::audit::npy::{self, shown};
use crate::audit::npz::{self, Npz};
use crate::files;
use isn_format::error::{Error, Result};
use isn_format::ledger::import::raters::{self, Question};
use isn_format::ledger::import::{self, Format, Unsaid};
use isn_format::ledger::{MAX_LEN, Row};

/// The maximum length of the list of questions in a `.npz`, in bytes once inflated: a million of them.
const MAX_INFO: u64 = 256 << 20;
/// The maximum length of the answers, in bytes once inflated. They are not held in memory.
const MAX_TENSOR: u64 = 4 << 30;

/// Reads a file of claims and recognises its format by its contents.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; those of [`parse`].
pub fn read(file: &Path, unsaid: Unsaid<'_>) -> Result<(Format, Vec<Row>)> {
    parse(&file.display().to_string(), &files::read_input(file, MAX_LEN)?, unsaid)
}

/// As [`read`], for the bytes of a file, which errors call `what`.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Mistakes`] if the format is unknown or its content makes no sense.
pub fn parse(what: &str, bytes: &[u8], unsaid: Unsaid<'_>) -> Result<(Format, Vec<Row>)> {
    if bytes.starts_with(npz::MAGIC) {
        return answers(what, bytes, unsaid.source);
    }
    if bytes.starts_with(npy::MAGIC) {
        let why = "is an array, which names no images: make suspects of a mask or of positions with \
                   `isn audit mask DIR --kept FILE --claims LEDGER`, or --issues";
        return Err(Error::invalid(what, why));
    }
    import::read(what, bytes, unsaid)
}

/// Reads ReaL's `scores.npz` or `raters.npz`: `info` has an image and a label on each row, and `tensor` the
/// score of each row, or whether each rater said no, maybe or yes.
fn answers(what: &str, bytes: &[u8], source: Option<&str>) -> Result<(Format, Vec<Row>)> {
    let mut npz = Npz::open(what, bytes)?;
    let questions = questions(&mut npz)?;
    let tensor = npz.array("tensor", MAX_TENSOR)?;
    let rows = questions.len();
    match *tensor.shape() {
        [n] if n == rows => {
            let mut scores = Vec::new();
            tensor.numbers(|at, score| {
                if !(0.0..=1.0).contains(&score) {
                    return Err(format!("row {at} is {score}: expected a score from 0 to 1"));
                }
                scores.push(score);
                Ok(())
            })?;
            Ok((Format::Scores, raters::scored(questions, &scores)))
        }
        [raters, n, 3] if n == rows && raters > 0 => {
            let mut votes = vec![[0; 3]; rows];
            tensor.numbers(|at, vote| {
                let (row, answer) = (at / 3 % rows, at % 3);
                if vote != 0.0 && vote != 1.0 {
                    return Err(format!("row {row} has a vote of {vote}: expected 0 or 1"));
                }
                votes[row][answer] += u32::from(vote == 1.0);
                Ok(())
            })?;
            Ok((Format::Raters, raters::voted(questions, &votes, raters::asked(what, source)?)))
        }
        ref shape => {
            let why = format!(
                "has a tensor of shape {}, but {rows} rows in info: expected ({rows},) as in ReaL's \
                 scores.npz, or (raters, {rows}, 3) as in raters.npz",
                shown(shape)
            );
            Err(Error::invalid(what, why))
        }
    }
}

fn questions(npz: &mut Npz<'_>) -> Result<Vec<Question>> {
    let info = npz.array("info", MAX_INFO)?;
    let [_, 2] = *info.shape() else {
        return Err(info.refuse("expected a row of image and label for each question"));
    };
    let mut questions = Vec::new();
    let mut image = String::new();
    info.texts(|at, text| {
        match at % 2 {
            0 => image.replace_range(.., text),
            _ => {
                let question = Question::parse(&image, text);
                questions.push(question.map_err(|why| format!("row {}: {why}", at / 2))?);
            }
        }
        Ok(())
    })?;
    Ok(questions)
}

#[cfg(test)]
mod tests;
