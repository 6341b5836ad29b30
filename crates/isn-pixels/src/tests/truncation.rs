//! Truncated files must be detected, however they were cut and whatever was appended.

use super::*;

fn outcome(source: &[u8]) -> Result<Rgb, PixelError> {
    decode_rgb(source, ExifOrientation::Ignore)
}

const JPEGS: [&str; 12] = [
    "420.jpg",
    "444_optimized.jpg",
    "quality_100.jpg",
    "grey.jpg",
    "grey_progressive.jpg",
    "progressive.jpg",
    "restart.jpg",
    "restart_row.jpg",
    "progressive_restart.jpg",
    "scan_each.jpg",
    "cmyk_adobe.jpg",
    "exif_6.jpg",
];

#[test]
fn a_jpeg_cut_anywhere_is_rejected() {
    for name in JPEGS {
        let source = vector(name);
        for length in 3..source.len() {
            let error = outcome(&source[..length]).expect_err(name);
            assert!(matches!(error, PixelError::Truncated { .. }), "{name} cut to {length}: {error}");
        }
    }
}

/// The end marker says that the file is complete, but it is not. If pixels are returned, they must be right:
/// a cut may have removed only padding.
#[test]
fn a_jpeg_cut_and_given_an_end_marker_is_rejected() {
    for name in JPEGS {
        let source = vector(name);
        let whole = outcome(&source).unwrap();
        let data = source.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
        let first = source.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        // The thumbnail in exif_6 has a scan of its own.
        let first = if name.starts_with("exif") { data } else { first };
        let mut harmless = 0;
        // Every position near the end, where little is missing, and a sample of those before.
        let near = source.len() - 150;
        for length in (first + 20..near).step_by(5).chain(near..source.len() - 2) {
            let mut cut = source[..length].to_vec();
            cut.extend_from_slice(&[0xff, 0xd9]);
            match outcome(&cut) {
                Ok(pixels) => {
                    assert!(pixels == whole, "{name} cut to {length} of {}", source.len());
                    harmless += 1;
                }
                Err(PixelError::Truncated { .. }) => {}
                // A cut after ff makes another marker, and one in a header a malformed segment.
                Err(PixelError::Corrupt { .. }) => {
                    assert!(source[length - 1] == 0xff || length < data, "{name} cut to {length}")
                }
                Err(error) => panic!("{name} cut to {length}: {error}"),
            }
        }
        assert!(harmless <= 1, "{name}: {harmless} cuts go unseen");
    }
}

#[test]
fn missing_scans_are_found() {
    for name in ["progressive.jpg", "grey_progressive.jpg", "progressive_restart.jpg", "scan_each.jpg"] {
        let source = vector(name);
        let scans: Vec<usize> =
            (0..source.len() - 1).filter(|&at| source[at..at + 2] == [0xff, 0xda]).collect();
        for &scan in &scans[1..] {
            let mut cut = source[..scan].to_vec();
            cut.extend_from_slice(&[0xff, 0xd9]);
            let reason = outcome(&cut).expect_err(name).to_string();
            assert!(reason.starts_with("truncated: ") && reason.contains("are missing"), "{reason}");
        }
    }
}

#[test]
fn the_reason_says_how_much_there_is() {
    let source = vector("420.jpg");
    let half = source.len() - 700;
    assert_eq!(
        outcome(&source[..half]).unwrap_err().to_string(),
        "truncated: the JPEG data ends before the image is complete (it has no end-of-image marker)"
    );
    let cut = [&source[..half], &[0xff, 0xd9]].concat();
    let reason = outcome(&cut).unwrap_err().to_string();
    let detail =
        reason.strip_prefix("truncated: the JPEG data ends before the image is complete (scan 1 stops at ");
    let percent: u8 = detail.unwrap().strip_suffix("%)").unwrap().parse().unwrap();
    assert!((20..90).contains(&percent), "{reason}");
}

#[test]
fn what_follows_the_end_is_of_no_account() {
    let plain = outcome(&vector("exif_broken.jpg")).unwrap();
    let with_bytes = vector("trailing_bytes.jpg");
    assert!(outcome(&with_bytes).unwrap() == plain);
    let end = with_bytes.len() - 9 * 15;
    assert!(outcome(&with_bytes[..end - 2]).is_err());
}

#[test]
fn a_png_cut_anywhere_is_rejected() {
    for name in ["grey4.png", "palette8_trns.png", "grey2_interlaced.png", "grey8.png"] {
        let source = vector(name);
        for length in 0..source.len() {
            assert!(outcome(&source[..length]).is_err(), "{name} cut to {length}");
        }
    }
    let source = vector("apng_default.png");
    assert!(outcome(&source[..source.len() - 5000]).is_err(), "cut behind its default image");
}

#[test]
fn a_png_with_a_flipped_bit_is_rejected_where_pixels_come_from() {
    let source = vector("grey8.png");
    let whole = outcome(&source).unwrap();
    for at in 8..source.len() {
        let mut flipped = source.clone();
        flipped[at] ^= 4;
        if let Ok(pixels) = outcome(&flipped) {
            // For example, an unknown chunk name in place of IEND.
            assert!(pixels == whole, "bit flipped at {at}");
        }
    }
}

/// Random damage may give any result, but must not panic, and the pipeline must stay usable.
#[test]
fn damage_never_panics() {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut pipeline = Pipeline::new(spec(24));
    let names: Vec<&str> =
        JPEGS.into_iter().chain(["rgba16.png", "apng_first.png", "palette4_interlaced.png"]).collect();
    for round in 0..1500 {
        let mut source = vector(names[round % names.len()]);
        for _ in 0..=noise.below(6) {
            let at = noise.below(source.len() as u64) as usize;
            match noise.below(3) {
                0 => source[at] = noise.next() as u8,
                1 => source[at] ^= 1 << noise.below(8),
                _ => drop(source.splice(at..at, (0..noise.below(40)).map(|_| 0xff))),
            }
        }
        let _ = pipeline.build(&source);
    }
    let clean = vector("420.jpg");
    assert_eq!(pipeline.build(&clean).unwrap(), Outcome::Built(build(spec(24), &clean)));
}
