//! What ReaL's raters said: people who were asked of an image and a label whether the image shows it.

use std::collections::BTreeMap;

use super::{REAL, claim, file_name, fits, ranked};
use crate::class::ClassId;
use crate::error::{Error, Result};
use crate::ilsvrc2012;
use crate::ledger::{Row, Says};

const RATERS: (&str, &str) = ("real-raters", "2020-06-12");

/// The score from which on a label is in `real.json`.
const PRESENT: f64 = 0.8;

/// A label about which raters were asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The number of the val image, from 1.
    number: u32,
    /// The label.
    class: ClassId,
}

impl Question {
    /// Reads `ILSVRC2012_val_00041207.JPEG` and the number of a class.
    ///
    /// # Errors
    /// A line with the reason, if there is no such image or class.
    pub fn parse(file: &str, class: &str) -> Result<Self, String> {
        let number = file.strip_prefix(ilsvrc2012::VAL_PREFIX).and_then(|rest| rest.strip_suffix(".JPEG"));
        let number = number.filter(|digits| digits.len() == 8).and_then(|digits| digits.parse().ok());
        let number = number.filter(|number| ilsvrc2012::val_class(*number).is_some());
        let number = number.ok_or_else(|| format!("'{file}' is not the name of a val image of ImageNet"))?;
        Ok(Question { number, class: ranked(class)? })
    }
}

/// Returns a claim for each image, of the labels whose score is at least that of `real.json`. It is a claim
/// of `real`, whose labels it repeats; `real.json` has further images, about which nobody was asked.
pub fn scored(questions: Vec<Question>, scores: &[f64]) -> Vec<Row> {
    claims(questions, scores, REAL, |answers| {
        let present = |(class, score): &(ClassId, &f64)| (**score >= PRESENT).then(|| class.clone());
        let shown = |(class, score): &(ClassId, &f64)| format!("{class} {score:.6}");
        let says = fits(answers.iter().filter_map(present).collect(), Says::None);
        (says, format!("scores {}", joined(answers, shown)))
    })
}

/// Returns a claim for each image by the votes no, maybe and yes on each of its labels: it shows those that
/// more than half of the raters saw. It shows none if more than half said no to each label; otherwise it is
/// unclear. `source` is who was asked, if not the raters of the paper.
pub fn voted(questions: Vec<Question>, votes: &[[u32; 3]], source: Option<&str>) -> Vec<Row> {
    let by = source.map_or(RATERS, |source| (source, RATERS.1));
    claims(questions, votes, by, |answers| {
        let most = |votes: &[u32; 3], of: usize| 2 * votes[of] > votes.iter().sum();
        let present = |(class, votes): &(ClassId, &[u32; 3])| most(votes, 2).then(|| class.clone());
        let shown = |(class, [no, maybe, yes]): &(ClassId, &[u32; 3])| format!("{class} {no}/{maybe}/{yes}");
        let refused = answers.iter().all(|(_, votes)| most(votes, 0));
        let empty = if refused { Says::None } else { Says::Unclear };
        let says = fits(answers.iter().filter_map(present).collect(), empty);
        (says, format!("no/maybe/yes {}", joined(answers, shown)))
    })
}

/// Returns who was asked for the answers in a `.npz` of the form of `raters.npz`, by its name: `None` for the
/// raters of the paper. The golden questions were also asked, of the authors and of the raters.
///
/// # Errors
/// [`Error::Invalid`] if the answers are those to the golden questions, and `source` does not name them.
pub fn asked<'a>(what: &str, source: Option<&'a str>) -> Result<Option<&'a str>> {
    match (file_name(what).contains("golden"), source) {
        (false, _) => Ok(None),
        (true, Some(source)) => Ok(Some(source)),
        (true, None) => {
            let why = "has the answers to the golden questions, not those of raters.npz: name its source \
                       with --source NAME";
            Err(Error::invalid(what, why))
        }
    }
}

fn claims<'a, A>(
    questions: Vec<Question>,
    answers: &'a [A],
    by: (&str, &str),
    says: impl Fn(&[(ClassId, &'a A)]) -> (Says, String),
) -> Vec<Row> {
    let mut images: BTreeMap<u32, Vec<(ClassId, &A)>> = BTreeMap::new();
    for (question, answer) in questions.into_iter().zip(answers) {
        images.entry(question.number).or_default().push((question.class, answer));
    }
    let row = |(number, answers): (u32, Vec<(ClassId, &'a A)>)| {
        let (says, evidence) = says(&answers);
        claim(format!("{}{number:08}", ilsvrc2012::VAL_PREFIX), says, by, evidence)
    };
    images.into_iter().map(row).collect()
}

fn joined<A>(answers: &[(ClassId, A)], shown: impl Fn(&(ClassId, A)) -> String) -> String {
    answers.iter().map(shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::FileRow as _;

    fn questions() -> Vec<Question> {
        let asked = [("00000018", "22"), ("00000002", "0"), ("00000018", "23"), ("00000007", "5")];
        let question = |(image, class)| Question::parse(&format!("ILSVRC2012_val_{image}.JPEG"), class);
        asked.into_iter().map(question).collect::<Result<_, _>>().unwrap()
    }

    fn lines(rows: &[Row]) -> Vec<String> {
        rows.iter().map(|row| row.to_csv().trim_end().to_owned()).collect()
    }

    #[test]
    fn scores_say_what_real_json_says() {
        let rows = scored(questions(), &[0.8, 0.7999, 0.99, 0.1]);
        let wanted = [
            "claim,ILSVRC2012_val_00000002,none,,,real,,2020-06-12,scores n01440764 0.799900",
            "claim,ILSVRC2012_val_00000007,none,,,real,,2020-06-12,scores n01496331 0.100000",
            "claim,ILSVRC2012_val_00000018,several,n01614925 n01616318,,real,,2020-06-12,\
             \"scores n01614925 0.800000, n01616318 0.990000\"",
        ];
        assert_eq!(lines(&rows), wanted);
    }

    #[test]
    fn more_than_half_of_the_raters_decide() {
        let rows = voted(questions(), &[[1, 1, 3], [2, 1, 2], [5, 0, 0], [3, 1, 1]], None);
        let wanted = [
            "claim,ILSVRC2012_val_00000002,unclear,,,real-raters,,2020-06-12,no/maybe/yes n01440764 2/1/2",
            "claim,ILSVRC2012_val_00000007,none,,,real-raters,,2020-06-12,no/maybe/yes n01496331 3/1/1",
            "claim,ILSVRC2012_val_00000018,label,n01614925,,real-raters,,2020-06-12,\
             \"no/maybe/yes n01614925 1/1/3, n01616318 5/0/0\"",
        ];
        assert_eq!(lines(&rows), wanted);
    }

    #[test]
    fn what_is_no_image_or_class_is_said() {
        for (image, class) in [
            ("ILSVRC2012_val_00050001.JPEG", "0"),
            ("ILSVRC2012_val_00000000.JPEG", "0"),
            ("ILSVRC2012_val_0000001.JPEG", "0"),
            ("n01440764_1.JPEG", "0"),
            ("", "0"),
            ("ILSVRC2012_val_00000001.JPEG", "1000"),
            ("ILSVRC2012_val_00000001.JPEG", "-1"),
            ("ILSVRC2012_val_00000001.JPEG", ""),
        ] {
            assert!(Question::parse(image, class).is_err(), "{image} {class}");
        }
    }

    #[test]
    fn the_golden_questions_are_not_taken_for_the_others() {
        assert_eq!(asked("a/raters.npz", Some("me")).unwrap(), None);
        assert_eq!(asked("a/golden.npz", Some("authors")).unwrap(), Some("authors"));
        assert!(asked("raters_golden.npz", None).unwrap_err().to_string().contains("--source NAME"));
    }
}
