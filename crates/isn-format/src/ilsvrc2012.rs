//! The fixed facts of ImageNet 2012 (ILSVRC2012): its archives, and compiled in its classes, the labels of
//! the 50,000 validation images and the number of train images of each class. `isn_registry::source` knows
//! how it is laid out on disks.

use crate::class::ClassId;

/// The 1,000 wnids, sorted, one per line.
const WNIDS: &str = include_str!("ilsvrc2012_wnids.txt");

/// The label of each validation image `n` (from 1): its rank in [`WNIDS`], in bits `10(n-1)..10n`, least
/// significant first. Made from `ILSVRC2012_validation_ground_truth.txt` and `meta.mat` of the devkit
/// (`ILSVRC2012_devkit_t12`, MIT-style licence): with `ranks` the list of the 50,000 ranks, in Python,
/// `sum(rank << 10 * i for i, rank in enumerate(ranks)).to_bytes(62500, 'little')`. Compression would gain
/// nothing: every class occurs 50 times in random order, which is 62 kB of entropy.
const VAL: &[u8; 62_500] = include_bytes!("ilsvrc2012_val.bin");

/// The number of train images of each class, in the order of [`WNIDS`], 16 bits each, least significant
/// first: the field `num_train_images` of `meta.mat` of the devkit. The total is 1,281,167.
const TRAIN: &[u8; 2000] = include_bytes!("ilsvrc2012_train.bin");

/// The archive of the train images: a tar of 1,000 tars.
pub const TRAIN_TAR: OfficialArchive = OfficialArchive {
    name: "ILSVRC2012_img_train.tar",
    length: 147_897_477_120,
    md5: "1d675b47d978889d74fa0da5fadfb00e",
};
/// The archive of the validation images: a tar of images.
pub const VAL_TAR: OfficialArchive = OfficialArchive {
    name: "ILSVRC2012_img_val.tar",
    length: 6_744_924_160,
    md5: "29b22e2961454d5413ddabcf34fc5622",
};
/// The archives whose length and MD5 are on ImageNet's download page.
pub const ARCHIVES: [OfficialArchive; 2] = [TRAIN_TAR, VAL_TAR];
/// The development kit, with its MD5. No build needs it; its length is not published.
pub const DEVKIT: (&str, &str) = ("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf");
/// The number of validation images of each class.
pub(crate) const VAL_PER_CLASS: u32 = 50;

/// An official archive, as described on ImageNet's download page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfficialArchive {
    /// The file's name.
    pub name: &'static str,
    /// Its length in bytes.
    pub length: u64,
    /// Its MD5, in hex.
    pub md5: &'static str,
}

/// The number of validation images.
pub(crate) const VAL_IMAGES: u32 = 50_000;

/// The length of a wnid with its line feed.
const LINE: usize = 10;

/// Whether `wnid` is one of the 1,000 classes.
pub fn is_class(wnid: &str) -> bool {
    rank(wnid).is_some()
}

/// Returns the position of a class among the 1,000, sorted, from 0.
fn rank(wnid: &str) -> Option<usize> {
    let (lines, _) = WNIDS.as_bytes().as_chunks::<LINE>();
    lines.binary_search_by(|line| line[..LINE - 1].cmp(wnid.as_bytes())).ok()
}

/// Returns the wnid at a position among the 1,000, from 0.
pub fn wnid_at(rank: usize) -> Option<&'static str> {
    let start = LINE.checked_mul(rank)?;
    WNIDS.get(start..start.checked_add(LINE - 1)?)
}

/// Returns the number of train images of a class, or `None` if it is not one of the 1,000.
pub fn train_count(wnid: &str) -> Option<u32> {
    let at = 2 * rank(wnid)?;
    Some(u16::from_le_bytes([TRAIN[at], TRAIN[at + 1]]).into())
}

/// Returns the source ids of the validation images of a class, in ascending order.
pub fn val_ids(wnid: &str) -> impl Iterator<Item = String> {
    let is_of = move |number: &u32| val_class(*number) == Some(wnid);
    (1..=VAL_IMAGES).filter(is_of).map(|number| format!("ILSVRC2012_val_{number:08}"))
}

/// Returns the class of validation image `number`, 1 to 50,000.
pub fn val_class(number: u32) -> Option<&'static str> {
    if !(1..=VAL_IMAGES).contains(&number) {
        return None;
    }
    let bit = 10 * (number as usize - 1);
    // Ten bits that begin at an even bit lie within two bytes.
    let bits = u16::from_le_bytes([VAL[bit / 8], VAL[bit / 8 + 1]]) >> (bit % 8);
    let rank = usize::from(bits & 0x3ff);
    wnid_at(rank)
}

/// Returns the class at a position among the 1,000, from 0.
pub(crate) fn class_at(rank: usize) -> Option<ClassId> {
    wnid_at(rank)?.parse().ok()
}

/// Returns the class that an image's file name gives, without its extension: `n01614925_10`,
/// `ILSVRC2012_val_00000318`.
pub fn class_of(stem: &str) -> Option<&str> {
    told_class(stem).ok().flatten()
}

/// Returns the class that a file name gives, if any: the prefix of a train image, the table's entry for a
/// validation image.
///
/// # Errors
/// The reason, if the name has the form of a validation image but its number does not exist.
pub fn told_class(stem: &str) -> Result<Option<&str>, String> {
    if let Some(digits) = stem.strip_prefix(VAL_PREFIX) {
        let formed = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit());
        let number = formed.then(|| digits.parse().ok()).flatten();
        return match number.and_then(val_class) {
            Some(class) => Ok(Some(class)),
            None => {
                Err(format!("there is no validation image {digits}: they are 00000001 to {VAL_IMAGES:08}"))
            }
        };
    }
    let prefix = stem.split_once('_').map(|(prefix, _)| prefix);
    Ok(prefix.filter(|prefix| is_class(prefix)))
}

/// The prefix of the names of validation images.
pub const VAL_PREFIX: &str = "ILSVRC2012_val_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_val_table_is_that_of_the_devkit() {
        let wnids: Vec<&str> = WNIDS.lines().collect();
        assert!(wnids.len() == 1000 && wnids.is_sorted() && wnids.iter().all(|w| is_class(w)));
        for (number, class) in [
            (1, "n01751748"),
            (2, "n09193705"),
            (128, "n01614925"),
            (318, "n01622779"),
            (49_999, "n10148035"),
            (50_000, "n02437616"),
        ] {
            assert_eq!(val_class(number), Some(class));
        }
        assert_eq!((val_class(0), val_class(50_001)), (None, None));
        // The whole table, as 50,000 wnids with a line feed after each.
        let mut hasher = blake3::Hasher::new();
        for number in 1..=VAL_IMAGES {
            hasher.update(val_class(number).unwrap().as_bytes());
            hasher.update(b"\n");
        }
        assert_eq!(hasher.finalize().to_string(), TABLE);
    }

    const TABLE: &str = "40c15a7b01f8681b16c06e27aab46c7b69c280ac379eb6a92e0fba09a57c0279";

    #[test]
    fn the_counts_are_those_of_the_devkit() {
        let all: u32 = WNIDS.lines().map(|wnid| train_count(wnid).unwrap()).sum();
        assert_eq!(all, 1_281_167);
        assert_eq!(train_count("n01440764"), Some(1300));
        assert_eq!(train_count("n00000000"), None);
        let val: Vec<String> = val_ids("n01614925").collect();
        assert!(val.len() == 50 && val.contains(&"ILSVRC2012_val_00000128".into()));
    }
}
