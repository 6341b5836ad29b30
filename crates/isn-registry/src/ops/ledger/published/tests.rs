use std::io::{Cursor, Write as _};

use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use isn_format::rows::FileRow as _;

fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), elements].concat()
}

fn doubles(shape: &str, numbers: &[f64]) -> Vec<u8> {
    npy("<f8", shape, &numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>())
}

fn texts(shape: &str, texts: &[&str]) -> Vec<u8> {
    let padded = |text: &str| text.chars().map(u32::from).chain(std::iter::repeat(0)).take(28).collect();
    let characters: Vec<u32> = texts.iter().flat_map(|text| -> Vec<u32> { padded(text) }).collect();
    npy("<U28", shape, &characters.iter().flat_map(|c| c.to_le_bytes()).collect::<Vec<u8>>())
}

fn zip(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const ASKED: [&str; 4] = ["ILSVRC2012_val_00000018.JPEG", "22", "ILSVRC2012_val_00000018.JPEG", "23"];

fn info() -> Vec<u8> {
    texts("(2, 2)", &ASKED)
}

fn lines(bytes: &[u8]) -> Result<Vec<String>> {
    let (_, rows) = answers("raters.npz", bytes, None)?;
    Ok(rows.iter().map(|row| row.to_csv().trim_end().to_owned()).collect())
}

#[test]
fn scores_and_votes_become_claims() {
    let scores = zip(&[("tensor", doubles("(2,)", &[0.9, 0.5])), ("info", info())]);
    let of_real = "claim,ILSVRC2012_val_00000018,label,n01614925,,real,,2020-06-12,";
    assert_eq!(
        lines(&scores).unwrap(),
        [format!("{of_real}\"scores n01614925 0.900000, n01616318 0.500000\"")]
    );
    // Two raters, two questions: the first rater says no and yes, the second no and maybe.
    let votes = doubles("(2, 2, 3)", &[1., 0., 0., 0., 0., 1., 1., 0., 0., 0., 1., 0.]);
    let ids = npy("<i8", "(2,)", &[0; 16]);
    let votes = zip(&[("tensor", votes), ("info", info()), ("ids", ids)]);
    let by_raters = "claim,ILSVRC2012_val_00000018,unclear,,,real-raters,,2020-06-12,";
    assert_eq!(
        lines(&votes).unwrap(),
        [format!("{by_raters}\"no/maybe/yes n01614925 2/0/0, n01616318 0/1/1\"")]
    );
}

#[test]
fn what_is_wrong_is_told() {
    let tensor = || doubles("(2,)", &[0.9, 0.5]);
    let files = |tensor: Vec<u8>, info: Vec<u8>| zip(&[("tensor", tensor), ("info", info)]);
    let whole = files(tensor(), info());
    let pickled = npy("|O", "(2,)", b"\x80\x04cos\nsystem\n(S'true'\ntR.");
    let other = texts("(2, 2)", &[ASKED[0], "22", "n01440764_10026.JPEG", "23"]);
    let longer = [&b"\x93NUMPY\x02\x00\xff\xff\xff\xff"[..], b"{"].concat();
    for (bytes, why) in [
        (whole[..whole.len() / 2].to_vec(), "raters.npz is not a whole .npz file"),
        (b"PK\x03\x04".to_vec(), "raters.npz is not a whole .npz file"),
        (zip(&[("tensor", tensor())]), "raters.npz has no array 'info'"),
        (zip(&[("info", info())]), "raters.npz has no array 'tensor'"),
        (files(pickled, info()), "tensor in raters.npz has dtype '|O', Python objects in a pickle"),
        (files(npy("<f2", "(2,)", &[0; 4]), info()), "dtype '<f2'"),
        (files(tensor(), npy("<i8", "(2, 2)", &[0; 32])), "info in raters.npz holds numbers: expected text"),
        (files(info(), info()), "tensor of shape (2, 2), but 2 rows in info: expected (2,)"),
        (files(texts("(2,)", &["a", "b"]), info()), "element 0 is not a number"),
        (files(doubles("(3,)", &[0.9; 3]), info()), "tensor of shape (3,), but 2 rows"),
        (files(doubles("(0, 2, 3)", &[]), info()), "tensor of shape (0, 2, 3)"),
        (files(doubles("(1, 2, 2)", &[0.; 4]), info()), "tensor of shape (1, 2, 2)"),
        (files(doubles("(1, 2, 3, 1)", &[0.; 6]), info()), "has shape (1, 2, 3, 1)"),
        (files(doubles("(2,)", &[0.9]), info()), "tensor in raters.npz has 8 bytes of elements"),
        (files(doubles("(2,)", &[0.9, f64::NAN]), info()), "row 1 is NaN: expected a score from 0 to 1"),
        (files(doubles("(2,)", &[0.9, 1.5]), info()), "row 1 is 1.5"),
        (files(doubles("(1, 2, 3)", &[0., 0., 1., 2., 0., 0.]), info()), "row 1 has a vote of 2"),
        (files(tensor(), other), "row 1: 'n01440764_10026.JPEG' is not the name of a val image"),
        (files(tensor(), texts("(4,)", &ASKED)), "has shape (4,): expected a row of image and label"),
        (files(tensor(), npy("<U0", "(2, 2)", &[])), "dtype '<U0'"),
        (files(tensor(), npy("<U99999", "(2, 2)", &[])), "dtype '<U99999'"),
        (files(tensor(), npy("<U1", "(1, 2)", &[0, 0, 0x11, 0, 0, 0, 0, 0])), "element 0 is not text"),
        (files(longer, info()), "no array needs that"),
    ] {
        let error = lines(&bytes).map(|rows| rows.join("\n")).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn long_files_are_refused_before_they_are_inflated() {
    let mut long = zip(&[("tensor", Vec::new())]);
    long.resize(npz::MAX_LEN as usize + 1, 0);
    assert!(lines(&long).unwrap_err().to_string().contains("is longer than 16777216 bytes"));
    // 257 MiB of zeros take 262 kB.
    let rows = (MAX_INFO / 224) as usize + 1;
    let info = npy("<U28", &format!("({rows}, 2)"), &vec![0; rows * 224]);
    let bomb = zip(&[("tensor", doubles("(1,)", &[0.0])), ("info", info)]);
    assert!(bomb.len() < 1 << 20);
    let error = lines(&bomb).unwrap_err().to_string();
    assert!(error.contains("info in raters.npz is longer than 268435456 bytes"), "{error}");
}

proptest! {
    #[test]
    fn damage_is_an_error_or_gives_the_same_claims(at in 0usize..2000, bit in 0u8..8) {
        let whole = zip(&[("tensor", doubles("(2,)", &[0.9, 0.5])), ("info", info())]);
        let expected = lines(&whole).unwrap();
        let mut damaged = whole.clone();
        let at = at % damaged.len();
        damaged[at] ^= 1 << bit;
        if let Ok(rows) = lines(&damaged) {
            prop_assert_eq!(rows, expected);
        }
    }
}
