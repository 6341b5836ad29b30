//! Lists without a header, an image of ImageNet on each line, as studies publish them.

use super::{Format, claim, file_name, fits, ranked, stem};
use crate::class::ClassId;
use crate::error::{Error, Mistake, Result};
use crate::ilsvrc2012;
use crate::ledger::{Row, Says};

const IMAGENET_S: (&str, &str) = ("imagenet-s", "2022-11-03");
const CLEAN: (&str, &str) = ("real-clean", "2020-06-12");
const MULTILABEL: (&str, &str) = ("multilabel-imagenet", "2026-03-05");

/// The classes that ImageNet-S does not tell apart: images of the first are listed under the second.
const MERGED: [(&str, &str); 5] = [
    ("n03642806", "n03832673"),
    ("n03887697", "n15075141"),
    ("n04008634", "n03773504"),
    ("n04356056", "n04355933"),
    ("n04493381", "n02808440"),
];

/// The probability from which on the authors of `multilabel_compressed.tsv` take a class for present.
const PRESENT: f64 = 0.5;

/// Recognises a list by its first line. Names alone do not say what is claimed about them, so a list of names
/// is recognised by the name of its file.
pub(super) fn recognise(what: &str, line: &str) -> Result<Option<Format>> {
    if file_name(what) == "fnames_clean.txt" {
        return Ok(Some(Format::Clean));
    }
    let is_image = |path: &str| image(path).is_ok();
    match line.split('\t').collect::<Vec<_>>()[..] {
        [path, _, _, _] if is_image(path) => return Ok(Some(Format::Multilabel)),
        _ => {}
    }
    match line.split(' ').collect::<Vec<_>>()[..] {
        [path, mask] if is_image(path) && is_image(mask) => Ok(Some(Format::ImageNetS)),
        [path] if is_image(path) => {
            let why = "is a list of names that does not say what is claimed about them: write source_id as \
                       its first line, and name its source with --source NAME";
            Err(Error::invalid(what, why))
        }
        _ => Ok(None),
    }
}

/// Reads a list of a format that [`recognise`] returned.
pub(super) fn read(what: &str, bytes: &[u8], format: Format) -> Result<Vec<Row>> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::invalid(what, "is not UTF-8 text"))?;
    let of_line = match format {
        Format::ImageNetS => imagenet_s,
        Format::Multilabel => multilabel,
        _ => clean,
    };
    let mut rows = Vec::new();
    let mut mistakes = Vec::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match of_line(line) {
            Ok(row) => rows.push(row),
            Err(why) => mistakes.push(Mistake { line: Some(at + 1), why }),
        }
    }
    match mistakes.is_empty() {
        true => Ok(rows),
        false => Err(Error::Mistakes { what: what.into(), mistakes }),
    }
}

/// Reads `n01440764/n01440764_12898.JPEG n01440764/n01440764_12898.png`: an image and its mask, or its place
/// in ImageNet and in ImageNet-S. The folder of the second is the class that people drew.
fn imagenet_s(line: &str) -> Result<Row, String> {
    let [first, second] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err("is not two paths: CLASS/IMAGE.JPEG CLASS/IMAGE.png".into());
    };
    let ((id, given), (other, _)) = (image(first)?, image(second)?);
    if id != other {
        return Err(format!("names two images, {id} and {other}"));
    }
    let folder = second.rsplit('/').nth(1).unwrap_or_default();
    let drawn = Some(folder).filter(|folder| ilsvrc2012::is_class(folder));
    let drawn = drawn.ok_or_else(|| format!("'{second}' is not in the folder of a class"))?;
    let says = match MERGED.iter().find(|(_, into)| *into == drawn) {
        Some(pair) if [pair.0, pair.1].contains(&given.as_str()) => Says::Label(given),
        Some((from, into)) => Says::Several(vec![class(into)?, class(from)?]),
        None => Says::Label(class(drawn)?),
    };
    let evidence = format!("pixel mask drawn by hand; listed under {drawn}");
    Ok(claim(id.into(), says, IMAGENET_S, evidence))
}

/// Reads `n01440764/n01440764_10042.JPEG`, the number of its class, the numbers of the classes that a model
/// found and their probabilities, between tabs.
fn multilabel(line: &str) -> Result<Row, String> {
    let [path, given, numbers, shares] = line.split('\t').collect::<Vec<_>>()[..] else {
        return Err("is not four fields between tabs: image, class, classes, probabilities".into());
    };
    let (id, named) = image(path)?;
    if ranked(given)? != named {
        return Err(format!("says that {id} has class {given}, but its name says {named}"));
    }
    let (numbers, shares) = (items(numbers), items(shares));
    if numbers.len() != shares.len() {
        let (classes, shares) = (numbers.len(), shares.len());
        return Err(format!("has not one probability for each class: {shares} for {classes}"));
    }
    let mut present = Vec::new();
    let mut found = Vec::new();
    for (number, share) in numbers.iter().zip(&shares) {
        let class = ranked(number)?;
        let value = share.parse().ok().filter(|value| (0.0..=1.0).contains(value));
        let value: f64 = value.ok_or_else(|| format!("'{share}' is not a probability from 0 to 1"))?;
        found.push(format!("{class} {share}"));
        if value >= PRESENT {
            present.push(class);
        }
    }
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    let evidence = format!("a model's probabilities: {found}");
    Ok(claim(id.into(), fits(present, Says::Unclear), MULTILABEL, evidence))
}

fn items(list: &str) -> Vec<&str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// Reads the name of a train image, with or without folders before it.
fn clean(line: &str) -> Result<Row, String> {
    let (id, given) = image(line.trim())?;
    Ok(claim(id.into(), Says::Label(given), CLEAN, "in fnames_clean.txt".into()))
}

/// Returns the id and the class of an image of ImageNet by its file name.
fn image(path: &str) -> Result<(&str, ClassId), String> {
    let id = stem(path.rsplit('/').next().unwrap_or(path));
    let given = ilsvrc2012::class_of(id).and_then(|wnid| wnid.parse().ok());
    Ok((id, given.ok_or_else(|| format!("'{path}' is not the name of an image of ImageNet"))?))
}

fn class(wnid: &str) -> Result<ClassId, String> {
    wnid.parse().map_err(|e| format!("{wnid}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::FileRow as _;

    fn rows(name: &str, text: &str) -> Result<Vec<String>> {
        let unsaid = crate::ledger::import::Unsaid { source: None, date: "2026-01-02" };
        let (_, rows) = crate::ledger::import::read(name, text.as_bytes(), unsaid)?;
        Ok(rows.iter().map(|row| row.to_csv().trim_end().to_owned()).collect())
    }

    #[test]
    fn a_mask_says_its_folder_unless_imagenet_s_has_merged_it() {
        let drawn = |says: &str, folder: &str| {
            format!(",{says},,imagenet-s,,2022-11-03,pixel mask drawn by hand; listed under {folder}")
        };
        let text = "n01440764/n01440764_12898.JPEG n01440764/n01440764_12898.png\n\
                    n03016953/ILSVRC2012_val_00000162.JPEG n04550184/ILSVRC2012_val_00000162.JPEG\r\n\
                    n04355933/n04356056_3162.JPEG n04355933/n04356056_3162.png\n\n\
                    n04355933/n04355933_8.JPEG n04355933/n04355933_8.png\n\
                    n04355933/n01440764_12.JPEG n04355933/n01440764_12.png";
        let wanted = [
            format!("claim,n01440764_12898{}", drawn("label,n01440764", "n01440764")),
            format!("claim,ILSVRC2012_val_00000162{}", drawn("label,n04550184", "n04550184")),
            format!("claim,n04356056_3162{}", drawn("label,n04356056", "n04355933")),
            format!("claim,n04355933_8{}", drawn("label,n04355933", "n04355933")),
            format!("claim,n01440764_12{}", drawn("several,n04355933 n04356056", "n04355933")),
        ];
        assert_eq!(rows("ImageNetS_im919_validation.txt", text).unwrap(), wanted);
        assert!(MERGED.iter().all(|(from, into)| ilsvrc2012::is_class(from) && ilsvrc2012::is_class(into)));
    }

    #[test]
    fn a_class_is_present_from_a_probability_of_one_half_on() {
        let claim = |id: &str, says: &str, found: &str| {
            let evidence = format!("a model's probabilities: {found}");
            let evidence = crate::class::csv_field(&evidence).into_owned();
            format!("claim,n01440764_{id},{says},,multilabel-imagenet,,2026-03-05,{evidence}")
        };
        let text = "n01440764/n01440764_1.JPEG\t0\t0,391\t0.2654,1.0000\n\
                    n01440764/n01440764_2.JPEG\t0\t0,391\t0.5000,0.5\n\
                    n01440764/n01440764_3.JPEG\t0\t\t\n";
        let wanted = [
            claim("1", "label,n02536864", "n01440764 0.2654, n02536864 1.0000"),
            claim("2", "several,n01440764 n02536864", "n01440764 0.5000, n02536864 0.5"),
            claim("3", "unclear,", "none"),
        ];
        assert_eq!(rows("multilabel_compressed.tsv", text).unwrap(), wanted);
    }

    #[test]
    fn names_are_claims_only_in_the_file_that_says_so() {
        let text = "n01440764_10026.JPEG\ntrain/n01443537/n01443537_2.JPEG\n";
        let wanted = ["n01440764_10026,label,n01440764", "n01443537_2,label,n01443537"]
            .map(|claim| format!("claim,{claim},,real-clean,,2020-06-12,in fnames_clean.txt"));
        assert_eq!(rows("a/fnames_clean.txt", text).unwrap(), wanted);
        let error = rows("names.txt", text).unwrap_err().to_string();
        assert!(error.contains("names.txt is a list of names that does not say what"), "{error}");
    }

    #[test]
    fn each_wrong_line_is_told() {
        let good = "n01440764/n01440764_1.JPEG n01440764/n01440764_1.png";
        let sparse = "n01440764/n01440764_1.JPEG\t0\t0\t1.0";
        for (first, line, why) in [
            (good, "n01440764/n01440764_1.JPEG", "line 2 is not two paths"),
            (good, "n01440764/n01440764_1.JPEG n01440764/n01440764_2.png", "names two images"),
            (good, "a/n01440764_1.JPEG a/n01440764_1.png", "is not in the folder of a class"),
            (good, "n01440764/x.JPEG n01440764/x.png", "is not the name of an image of ImageNet"),
            (good, "ILSVRC2012_val_00050001.JPEG n01440764/a.png", "is not the name of an image"),
            (sparse, "n01440764/n01440764_1.JPEG\t0\t0", "is not four fields between tabs"),
            (sparse, "n01440764/n01440764_1.JPEG\t1\t0\t1.0", "has class 1, but its name says n01440764"),
            (sparse, "n01440764/n01440764_1.JPEG\t0\t1000\t1.0", "'1000' is not one of the 1,000 classes"),
            (sparse, "n01440764/n01440764_1.JPEG\t0\t-1\t1.0", "'-1' is not one of"),
            (
                sparse,
                "n01440764/n01440764_1.JPEG\t0\t0,1\t1.0",
                "has not one probability for each class: 1 for 2",
            ),
            (sparse, "n01440764/n01440764_1.JPEG\t0\t0\t1.1", "'1.1' is not a probability from 0 to 1"),
            (sparse, "n01440764/n01440764_1.JPEG\t0\t0\tNaN", "'NaN' is not a probability"),
        ] {
            let error = rows("list", &format!("{first}\n{line}\n")).unwrap_err().to_string();
            assert!(error.contains("list has 1 mistake") && error.contains(why), "{line}: {error}");
        }
    }
}
