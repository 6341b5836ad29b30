//! [`Split`]: the part of a dataset that an image belongs to; the functions that divide a pool of images; and
//! [`Assignments`], the record of the result (`splits.csv`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::class::{ClassId, ClassNumbers, csv_field};
use crate::digest::Digest;
use crate::error::{Error, Result, about};
use crate::texts::Texts;

/// The maximum length of a file of split assignments, in bytes: enough for ten million images.
pub const MAX_LEN: u64 = 1 << 30;

/// A part of a dataset, and the name of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The training set.
    Train,
    /// The validation set.
    Val,
    /// The test set.
    Test,
}

impl Split {
    /// All splits, in order.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// Returns `train`, `val` or `test`.
    pub fn as_str(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }
}

/// Why a text is not a [`Split`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a split: expected train, val or test")]
pub struct SplitError(String);

impl FromStr for Split {
    type Err = SplitError;

    fn from_str(text: &str) -> Result<Self, SplitError> {
        Split::ALL.into_iter().find(|split| split.as_str() == text).ok_or_else(|| SplitError(text.into()))
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An exact decimal between 0 and 1, both excluded, with at most 9 places: `0.2`.
///
/// It is never a binary float: 0.285 of 100 images is 28.5, which rounds to 29, but an `f64` gives
/// 28.499999999999996.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fraction {
    /// The value in billionths.
    billionths: u32,
}

const BILLION: u32 = 1_000_000_000;

/// Why a text is not a [`Fraction`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is not a fraction: expected a plain decimal above 0 and below 1, at most 9 places, for example 0.2"
)]
pub struct FractionError(String);

impl Fraction {
    /// Returns `n` times the fraction, rounded half up: floor(n × val + 1/2), exactly.
    pub fn quota(self, n: u64) -> u64 {
        let doubled = 2 * u128::from(n) * u128::from(self.billionths) + u128::from(BILLION);
        // At most n, because the fraction is below 1, so it fits.
        (doubled / (2 * u128::from(BILLION))) as u64
    }
}

impl FromStr for Fraction {
    type Err = FractionError;

    fn from_str(text: &str) -> Result<Self, FractionError> {
        let places = text.strip_prefix("0.").filter(|p| (1..=9).contains(&p.len()));
        let digits = places.filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
        match digits.and_then(|digits| format!("{digits:0<9}").parse().ok()) {
            Some(billionths) if billionths > 0 => Ok(Fraction { billionths }),
            _ => Err(FractionError(text.into())),
        }
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:09}", self.billionths);
        write!(f, "0.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Debug for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fraction({self})")
    }
}

/// Returns the key that orders the images of a class: the BLAKE3 of `salt`, the original class and the source
/// id, each preceded by its length in bytes as 64 bits, little-endian.
pub fn pool_key(salt: &str, class: &ClassId, source_id: &str) -> Digest {
    key([salt, class.as_str(), source_id])
}

/// Whether an image, or a group named after its first image, is in val under the policy `threshold`: whether
/// the first eight bytes of the BLAKE3 of "threshold", `salt` and `unit`, combined as in [`pool_key`], are as
/// a big-endian number less than `val` × 2^64, exactly.
pub fn falls_below(val: Fraction, salt: &str, unit: &str) -> bool {
    let key = key(["threshold", salt, unit]);
    let first = key.as_bytes().iter().take(8).fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    u128::from(first) * u128::from(BILLION) < u128::from(val.billionths) << 64
}

/// Returns the key that decides which images stay if a class has too many: the BLAKE3 of "balance", the
/// dataset's name and the source id, combined as in [`pool_key`]. Those with the lowest keys stay.
pub fn balance_key(name: &str, source_id: &str) -> Digest {
    key(["balance", name, source_id])
}

fn key(parts: [&str; 3]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    Digest::of_hasher(&hasher)
}

/// Draws the validation images of one class: the `quota` images of `kept` (source ids) with the lowest
/// [`pool_key`]s. Returns their positions in `kept`, in no particular order.
///
/// An image's key depends on the image alone, and the quota on the class's images in the source, kept or not.
/// So leaving out a train image moves no other image, and leaving out a val image moves one train image to
/// val.
pub fn draw_val(salt: &str, class: &ClassId, quota: u64, kept: &[&str]) -> Vec<usize> {
    let mut order: Vec<(Digest, usize)> =
        kept.iter().enumerate().map(|(at, id)| (pool_key(salt, class, id), at)).collect();
    let quota = usize::try_from(quota).unwrap_or(usize::MAX).min(order.len());
    if quota > 0 && quota < order.len() {
        order.select_nth_unstable(quota - 1);
    }
    order.truncate(quota);
    order.into_iter().map(|(_, at)| at).collect()
}

/// The split of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// The image.
    pub source_id: &'a str,
    /// Its class in the source, before any corrections.
    pub class: &'a ClassId,
    /// Its split.
    pub split: Split,
}

/// The split of every image of a version, by source id. A later version inherits it. Kept as columns, some 10
/// bytes an image besides its source id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignments {
    /// Sorted by their bytes, each once.
    source_ids: Texts,
    classes: Vec<u32>,
    splits: Vec<Split>,
    numbers: ClassNumbers,
}

const HEADER: &str = "source_id,class,split";

impl Assignments {
    /// Creates assignments from rows in any order.
    ///
    /// # Errors
    /// As [`Assignments::of_sorted`].
    pub fn new(mut rows: Vec<Assignment<'_>>) -> Result<Self, String> {
        rows.sort_unstable_by(|a, b| a.source_id.cmp(b.source_id));
        Self::of_sorted(rows)
    }

    /// Creates assignments from rows that are sorted by the bytes of their source ids.
    ///
    /// # Errors
    /// The source id that occurs twice, or that is one too many for any memory.
    pub fn of_sorted<'a>(rows: impl IntoIterator<Item = Assignment<'a>>) -> Result<Self, String> {
        let mut assignments = Assignments::default();
        for row in rows {
            let number = assignments.numbers.number(row.class);
            if assignments.source_ids.last() == Some(row.source_id)
                || !assignments.push(row.source_id, number, row.split)
            {
                return Err(row.source_id.to_owned());
            }
        }
        assignments.shrink();
        Ok(assignments)
    }

    /// Appends a row, which must come after the others. Returns `false` if there are too many.
    #[must_use]
    fn push(&mut self, source_id: &str, class: u32, split: Split) -> bool {
        let is_pushed = self.source_ids.push(source_id);
        if is_pushed {
            self.classes.push(class);
            self.splits.push(split);
        }
        is_pushed
    }

    fn shrink(&mut self) {
        self.source_ids.shrink();
        self.classes.shrink_to_fit();
        self.splits.shrink_to_fit();
    }

    /// Returns the assignment of an image.
    pub fn get(&self, source_id: &str) -> Option<Assignment<'_>> {
        self.find(source_id).map(|at| self.row(at))
    }

    /// Returns the number of an image, from 0.
    pub fn find(&self, source_id: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.source_ids.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.source_ids.get(middle).cmp(source_id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Returns the assignment with this number, of which there must be more.
    pub fn row(&self, at: usize) -> Assignment<'_> {
        let (class, split) = (self.numbers.get(self.classes[at]), self.splits[at]);
        Assignment { source_id: self.source_ids.get(at), class, split }
    }

    /// Iterates over all assignments, sorted by the bytes of the source id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Assignment<'_>> {
        (0..self.splits.len()).map(|at| self.row(at))
    }

    /// Returns the bytes of `splits.csv`: header `source_id,class,split`, sorted by the bytes of the source
    /// id, RFC 4180 with minimal quoting, LF, final newline.
    pub fn to_csv(&self) -> Vec<u8> {
        self.pieces().flatten().collect()
    }

    /// Returns these bytes in pieces, for who writes them to a file.
    pub fn pieces(&self) -> impl Iterator<Item = Vec<u8>> {
        let header = format!("{HEADER}\n").into_bytes();
        let begins = (0..self.splits.len()).step_by(PIECE);
        let rows = begins.map(|begin| {
            let mut out = String::with_capacity(64 * PIECE);
            for at in begin..self.splits.len().min(begin + PIECE) {
                let row = self.row(at);
                out += &csv_field(row.source_id);
                for field in [row.class.as_str(), row.split.as_str()] {
                    out.push(',');
                    out += field;
                }
                out.push('\n');
            }
            out.into_bytes()
        });
        std::iter::once(header).chain(rows)
    }

    /// Reads the bytes that [`Assignments::to_csv`] writes; any other spelling is refused.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, at the first fault.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let refuse = |line: usize, why: &dyn fmt::Display| {
            Error::integrity(what, about(format_args!("line {line}"), why))
        };
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        let mut assignments = Assignments::default();
        let mut record = csv::StringRecord::new();
        for line in 1.. {
            if !reader.read_record(&mut record).map_err(|e| refuse(line, &e))? {
                break;
            }
            if line == 1 {
                if record != HEADER.split(',').collect::<Vec<_>>() {
                    return Err(refuse(line, &format!("the header is not {HEADER}")));
                }
                continue;
            }
            let source_id = &record[0];
            if assignments.source_ids.last().is_some_and(|last| last >= source_id) {
                return Err(refuse(line, &format!("source id '{source_id}' is out of order")));
            }
            let class = assignments.numbers.number_of(&record[1]).map_err(|e| refuse(line, &e))?;
            let split = record[2].parse().map_err(|e| refuse(line, &e))?;
            if !assignments.push(source_id, class, split) {
                return Err(refuse(line, &"is one too many"));
            }
        }
        assignments.shrink();
        let mut rest = bytes;
        let mut is_next = |piece: Vec<u8>| rest.strip_prefix(&piece[..]).map(|after| rest = after).is_some();
        if !assignments.pieces().all(&mut is_next) || !rest.is_empty() {
            return Err(Error::integrity(what, "is not in the canonical form of splits.csv"));
        }
        Ok(assignments)
    }
}

/// How many rows a piece of the file has.
const PIECE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the rows of a vector without its header.
    fn rows(text: &str) -> Vec<Vec<String>> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader.records().map(|row| row.unwrap().iter().map(Into::into).collect()).collect()
    }

    #[test]
    fn keys_are_the_golden_vector() {
        let rows = rows(include_str!("../../../tests/vectors/split_keys.csv"));
        assert_eq!(rows.len(), 7);
        for row in rows {
            let [salt, class, id, key] = &row[..] else { panic!("{row:?}") };
            assert_eq!(&pool_key(salt, &class.parse().unwrap(), id).to_string(), key, "{row:?}");
        }
    }

    #[test]
    fn thresholds_and_balance_keys_are_the_golden_vectors() {
        let thresholds = rows(include_str!("../../../tests/vectors/thresholds.csv"));
        assert_eq!(thresholds.len(), 64);
        for row in thresholds {
            let [val, salt, unit, split] = &row[..] else { panic!("{row:?}") };
            assert_eq!(falls_below(val.parse().unwrap(), salt, unit), split == "val", "{row:?}");
        }
        let keys = rows(include_str!("../../../tests/vectors/balance_keys.csv"));
        assert_eq!(keys.len(), 4);
        for row in keys {
            assert_eq!(balance_key(&row[0], &row[1]).to_string(), row[2], "{row:?}");
        }
    }

    #[test]
    fn quotas_are_the_golden_vector() {
        let rows = rows(include_str!("../../../tests/vectors/quota.csv"));
        assert_eq!(rows.len(), 99);
        for row in rows {
            let val: Fraction = row[0].parse().unwrap();
            assert_eq!(val.quota(row[1].parse().unwrap()), row[2].parse::<u64>().unwrap(), "{row:?}");
        }
    }

    #[test]
    fn a_fraction_is_a_plain_decimal_between_0_and_1() {
        for (text, shown) in [("0.2", "0.2"), ("0.20", "0.2"), ("0.000000001", "0.000000001"), ("0.5", "0.5")]
        {
            assert_eq!(text.parse::<Fraction>().unwrap().to_string(), shown);
        }
        for bad in [
            "0",
            "1",
            "0.0",
            "1.0",
            "0.",
            ".2",
            "-0.2",
            "+0.2",
            "2e-1",
            "0.2e0",
            "nan",
            "0.0000000001",
            "0.2 ",
            "00.2",
        ] {
            assert!(bad.parse::<Fraction>().is_err(), "{bad}");
        }
        assert_eq!("0.999999999".parse::<Fraction>().unwrap().quota(u64::MAX), 18_446_744_055_262_807_541);
    }

    #[test]
    fn splits_csv_reads_back_and_has_one_spelling() {
        let golden = include_bytes!("../../../tests/vectors/splits.csv");
        let assignments = Assignments::parse("splits.csv", golden).unwrap();
        assert_eq!(assignments.iter().len(), 19);
        assert_eq!(assignments.to_csv(), golden);
        assert_eq!(assignments.get("n01616318_3").unwrap().class.as_str(), "n01616318");
        assert!(assignments.get("n01616318_33").is_none());

        for (bad, why) in [
            ("", "canonical"),
            ("source_id,class\n", "header"),
            ("source_id,class,split\nb,x,val\na,x,val\n", "line 3: source id 'a' is out of order"),
            ("source_id,class,split\na,x,val\na,x,val\n", "out of order"),
            ("source_id,class,split\na,x,dev\n", "'dev' is not a split"),
            ("source_id,class,split\na,../x,val\n", "class id"),
            ("source_id,class,split\na,x,val", "canonical"),
            ("source_id,class,split\r\na,x,val\r\n", "canonical"),
            ("source_id,class,split\n\"a\",x,val\n", "canonical"),
            ("source_id,class,split\na,x\n", "line 2"),
        ] {
            let error = Assignments::parse("s", bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{bad:?}: {error}");
        }
        let class = "x".parse().unwrap();
        let comma = Assignment { source_id: "a, \"b\"", class: &class, split: Split::Test };
        let odd = Assignments::new(vec![comma]).unwrap();
        assert_eq!(Assignments::parse("s", &odd.to_csv()).unwrap(), odd);
    }

    #[test]
    fn an_id_has_one_assignment() {
        let class = "x".parse().unwrap();
        let row = Assignment { source_id: "a", class: &class, split: Split::Val };
        assert_eq!(Assignments::new(vec![row, row]).unwrap_err(), "a");
    }
}
