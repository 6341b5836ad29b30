//! What is fixed of ImageNet 2012 (ILSVRC2012): its classes, the labels of the 50,000 validation images and the number of
//! train images of each class, which are compiled in, and its archives. How it is laid out on disks is
//! `isn_registry::source`'s.

use crate::class::ClassId;

/// The 1,000 wnids, sorted, a line each.
const WNIDS: &str = include_str!("ilsvrc2012_wnids.txt");

/// The label of validation image `n` (from 1): its rank in [`WNIDS`], in bits `10(n-1)..10n`, least
/// significant first. Made of `ILSVRC2012_validation_ground_truth.txt` and `meta.mat` of the devkit
/// (`ILSVRC2012_devkit_t12`, MIT-style licence): with `ranks` the list of the 50,000 ranks, in Python,
/// `sum(rank << 10 * i for i, rank in enumerate(ranks)).to_bytes(62500, 'little')`. Nothing would be gained
/// by compressing it: every class occurs 50 times in random order, 62 kB of entropy.
const VAL: &[u8; 62_500] = include_bytes!("ilsvrc2012_val.bin");

/// The number of train images of each class, in the order of [`WNIDS`], 16 bits each, least significant first: the
/// field `num_train_images` of `meta.mat` of the devkit. 1,281,167 in all.
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
/// The archives whose length and MD5 ImageNet's download page gives.
pub const ARCHIVES: [OfficialArchive; 2] = [TRAIN_TAR, VAL_TAR];
/// The development kit, which no build needs: its length is not given anywhere, its MD5 is.
pub const DEVKIT: (&str, &str) = ("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf");
/// How many validation images each class has.
pub const VAL_PER_CLASS: u32 = 50;

/// An official archive, as ImageNet's download page has it.
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
pub const VAL_IMAGES: u32 = 50_000;

/// A wnid and its line feed.
const LINE: usize = 10;

/// Whether `wnid` is one of the 1,000 classes.
pub fn is_class(wnid: &str) -> bool {
    rank(wnid).is_some()
}

/// The place of a class among the 1,000, sorted, from 0.
fn rank(wnid: &str) -> Option<usize> {
    let (lines, _) = WNIDS.as_bytes().as_chunks::<LINE>();
    lines.binary_search_by(|line| line[..LINE - 1].cmp(wnid.as_bytes())).ok()
}

/// The class at a place among the 1,000.
pub fn wnid_at(rank: usize) -> Option<&'static str> {
    let start = LINE.checked_mul(rank)?;
    WNIDS.get(start..start.checked_add(LINE - 1)?)
}

/// How many train images a class has; `None` if it is none of the 1,000.
pub fn train_count(wnid: &str) -> Option<u32> {
    let at = 2 * rank(wnid)?;
    Some(u16::from_le_bytes([TRAIN[at], TRAIN[at + 1]]).into())
}

/// The source ids of the validation images of a class, in their order.
pub fn val_ids(wnid: &str) -> impl Iterator<Item = String> {
    let is_of = move |number: &u32| val_class(*number) == Some(wnid);
    (1..=VAL_IMAGES).filter(is_of).map(|number| format!("ILSVRC2012_val_{number:08}"))
}

/// The class of validation image `number`, 1 to [`VAL_IMAGES`].
pub fn val_class(number: u32) -> Option<&'static str> {
    if !(1..=VAL_IMAGES).contains(&number) {
        return None;
    }
    let bit = 10 * (number as usize - 1);
    // Ten bits that begin at an even bit lie in two bytes.
    let bits = u16::from_le_bytes([VAL[bit / 8], VAL[bit / 8 + 1]]) >> (bit % 8);
    let rank = usize::from(bits & 0x3ff);
    wnid_at(rank)
}

/// The class at a place in the sorted list of the 1,000, from 0.
pub fn class_at(rank: usize) -> Option<ClassId> {
    wnid_at(rank)?.parse().ok()
}

/// The class that an image's file name tells, without its extension: `n01614925_10`, `ILSVRC2012_val_00000318`.
pub fn class_of(stem: &str) -> Option<&str> {
    told_class(stem).ok().flatten()
}

/// The class that the name of a file tells: of validation images by the table, of train images by their
/// prefix. An error if it has the form of a validation image's name, and there is none of that number.
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

/// What the names of validation images begin with.
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
        // The whole table, as the 50,000 wnids with a line feed after each.
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
