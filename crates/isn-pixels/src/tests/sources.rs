//! Decoding, compared with the `image` crate and with what the files were made to show.

use super::*;

/// Returns the pixels as `image` 0.25.10 decodes them, without any code of this crate.
fn by_image(source: &[u8]) -> Rgb {
    let image = image::load_from_memory(source).unwrap().into_rgb8();
    Rgb { width: image.width(), height: image.height(), pixels: image.into_raw() }
}

#[test]
fn pixels_are_those_of_the_image_crate() {
    for entry in std::fs::read_dir(golden::folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let ours_alone = name.starts_with("rejected") || name == "rgb_by_adobe.jpg";
        if !name.ends_with(".txt") && !name.ends_with(".py") && !ours_alone {
            let source = vector(&name);
            let ours = decode_rgb(&source, ExifOrientation::Ignore).unwrap();
            assert!(ours == by_image(&source), "{name}");
            let size = dimensions(&source, ExifOrientation::Ignore).unwrap();
            assert_eq!(size, (ours.width, ours.height), "{name}");
        }
    }
}

/// Random pictures of random sizes, encoded by jpeg-encoder at every sampling, sequential and progressive.
#[test]
fn generated_jpegs_decode_as_by_the_image_crate() {
    use jpeg_encoder::{ColorType, SamplingFactor};
    let samplings = [
        SamplingFactor::R_4_4_4,
        SamplingFactor::R_4_4_0,
        SamplingFactor::R_4_2_2,
        SamplingFactor::R_4_2_0,
        SamplingFactor::R_4_1_1,
        SamplingFactor::R_4_1_0,
    ];
    let mut noise = Noise(0x15c9_2af1_77e0_4d2b);
    let mut unsupported = 0;
    for round in 0..120 {
        let (width, height) = (1 + noise.below(70) as u16, 1 + noise.below(70) as u16);
        let (color, channels) =
            [(ColorType::Luma, 1), (ColorType::Rgb, 3), (ColorType::Cmyk, 4), (ColorType::CmykAsYcck, 4)]
                [noise.below(4) as usize];
        let (step, contrast) = (1 + noise.below(9), 1 + noise.below(120));
        let pixels: Vec<u8> = (0..u64::from(width) * u64::from(height) * channels)
            .map(|at| (at * step / 7 + noise.below(contrast)) as u8)
            .collect();
        let mut source = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut source, 1 + noise.below(100) as u8);
        encoder.set_sampling_factor(samplings[noise.below(6) as usize]);
        encoder.set_progressive(noise.below(2) == 0);
        if noise.below(3) == 0 {
            encoder.set_restart_interval(1 + noise.below(9) as u16);
        }
        encoder.encode(&pixels, width, height, color).unwrap();
        match decode_rgb(&source, ExifOrientation::Ignore) {
            Ok(ours) => assert!(ours == by_image(&source), "round {round}, {width}x{height} {color:?}"),
            // This encoder writes some samplings in several scans.
            Err(PixelError::Unsupported { .. }) => unsupported += 1,
            Err(error) => panic!("round {round}, {width}x{height} {color:?}: {error}"),
        }
    }
    assert!(unsupported < 50, "{unsupported} of 120");
}

#[test]
fn grey_is_grey() {
    for name in ["grey.jpg", "grey_progressive.jpg", "grey1.png", "grey16_interlaced.png", "grey_alpha8.png"]
    {
        let image = decode_rgb(&vector(name), ExifOrientation::Ignore).unwrap();
        assert!(
            image.pixels.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]),
            "{name}"
        );
    }
}

/// Three components that Adobe's segment marks as untransformed are RGB, whatever their names.
#[test]
fn adobe_rgb_is_rgb() {
    let pixels = |name: &str| decode_rgb(&vector(name), ExifOrientation::Ignore).unwrap();
    assert!(pixels("rgb_by_adobe.jpg") == pixels("rgb_components.jpg"));
}

/// The same picture in different kinds of PNG.
#[test]
fn png_kinds_agree() {
    let pixels = |name: &str| decode_rgb(&vector(name), ExifOrientation::Ignore).unwrap();
    for name in [
        "rgb8_interlaced",
        "rgb8_trns",
        "rgba8",
        "rgba8_interlaced",
        "gamma_exif",
        "apng_default",
        "apng_first",
    ] {
        assert!(pixels("rgb8.png") == pixels(&format!("{name}.png")), "{name}");
    }
    for (one, other) in [
        ("grey8", "grey8_trns"),
        ("grey8", "grey_alpha8"),
        ("grey16", "grey16_interlaced"),
        ("grey16", "grey_alpha16"),
        ("rgb16", "rgba16"),
        ("palette4_interlaced", "palette8_trns"),
    ] {
        assert!(pixels(&format!("{one}.png")) == pixels(&format!("{other}.png")), "{one} {other}");
    }
}

/// `png` 0.18.1 panics on a palette that is not a number of whole colours.
#[test]
fn palettes_that_are_none_are_refused() {
    let png = |palette: usize, trns: bool| {
        let mut file = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut file, 40, 2);
        encoder.set_color(::png::ColorType::Indexed);
        encoder.set_depth(::png::BitDepth::Eight);
        encoder.set_palette(vec![7; palette]);
        if trns {
            encoder.set_trns(vec![9; (palette / 3).min(256)]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[0; 80]).unwrap();
        writer.finish().unwrap();
        file
    };
    for trns in [false, true] {
        for colours in [1, 2, 255, 256] {
            let decoded = decode_rgb(&png(colours * 3, trns), ExifOrientation::Ignore).unwrap();
            assert_eq!(decoded.pixels, [7; 240]);
        }
        for length in [1, 2, 4, 5, 49, 50, 766, 767, 769, 770, 771, 3000] {
            let error = decode_rgb(&png(length, trns), ExifOrientation::Ignore).unwrap_err().to_string();
            assert!(error.contains("palette") || error.contains("PLTE"), "{length}: {error}");
        }
    }
}

#[test]
fn sixteen_bits_are_rounded_to_the_nearest_of_eight() {
    for value in 0..=65535u32 {
        assert_eq!((value + 128) / 257, (value * 255 + 32767) / 65535, "{value}");
    }
}

#[test]
fn orientation_is_ignored_or_applied_as_asked() {
    let upright = decode_rgb(&vector("exif_2.jpg"), ExifOrientation::Ignore).unwrap();
    let at = |image: &Rgb, x: u32, y: u32| {
        let at = ((y * image.width + x) * 3) as usize;
        [image.pixels[at], image.pixels[at + 1], image.pixels[at + 2]]
    };
    for orientation in 2..=8u8 {
        let source = vector(&format!("exif_{orientation}.jpg"));
        assert!(decode_rgb(&source, ExifOrientation::Ignore).unwrap() == upright);
        let turned = decode_rgb(&source, ExifOrientation::Apply).unwrap();
        assert_eq!(dimensions(&source, ExifOrientation::Apply).unwrap(), (turned.width, turned.height));
        let (right, bottom) = (upright.width - 1, upright.height - 1);
        // The stored position of the first pixel of the displayed picture (EXIF 2.3, table 6).
        let first =
            [(right, 0), (right, bottom), (0, bottom), (0, 0), (0, bottom), (right, bottom), (right, 0)]
                [usize::from(orientation) - 2];
        assert_eq!(at(&turned, 0, 0), at(&upright, first.0, first.1), "{orientation}");
        assert_eq!(orientation >= 5, turned.width == upright.height, "{orientation}");
    }
    assert!(decode_rgb(&vector("exif_broken.jpg"), ExifOrientation::Apply).is_ok());
    assert_eq!(dimensions(&vector("gamma_exif.png"), ExifOrientation::Apply).unwrap(), (29, 37));
}

#[test]
fn results_are_what_the_recipe_says() {
    let source = vector("420.jpg");
    let decoded = decode_rgb(&source, ExifOrientation::Ignore).unwrap();
    // Kept: its own pixels, for any size above its own.
    for size in [65, 66, 1000] {
        let kept = build(spec(size), &source);
        assert_eq!((kept.width, kept.height), (97, 65));
        assert_eq!(kept.pixels, pixel_digest(97, 65, &decoded.pixels));
        assert!(by_image(&kept.bytes) == decoded, "a PNG holds its pixels");
    }
    let large = build(PixelSpec { small: Small::Upscale, ..spec(100) }, &source);
    assert_eq!((large.width, large.height), (149, 100));
    let drop = |size| Pipeline::new(PixelSpec { small: Small::Drop, ..spec(size) }).build(&source).unwrap();
    assert_eq!(drop(66), Outcome::Dropped);
    assert_ne!(drop(65), Outcome::Dropped);

    let jpeg = build(PixelSpec { encode: Encoding::Jpeg { quality: 95 }, ..spec(24) }, &source);
    let png = build(spec(24), &source);
    assert_eq!(jpeg.pixels, png.pixels, "the digest is of what the encoder was given");
    assert_eq!((&jpeg.bytes[..2], &png.bytes[1..4]), (&b"\xff\xd8"[..], &b"PNG"[..]));
    assert_eq!((Encoding::Png.extension(), Encoding::Jpeg { quality: 95 }.extension()), ("png", "jpg"));
}

/// PNGs with more than one stored block, and with rows that cross blocks.
#[test]
fn large_pngs_are_valid() {
    let mut noise = Noise(7);
    for (width, height) in [(21845, 1), (1, 21845), (211, 640), (5461, 4), (160, 136), (160, 137)] {
        let pixels = (0..width * height * 3).map(|_| noise.next() as u8).collect();
        let image = Rgb { width, height, pixels };
        let file = encode::encode(&image, Encoding::Png, &mut Vec::new()).unwrap();
        assert!(by_image(&file) == image, "{width}x{height}");
        assert!(decode_rgb(&file, ExifOrientation::Ignore).unwrap() == image, "{width}x{height}");
    }
}

#[test]
fn reasons_can_be_read() {
    let reason = |source: &[u8]| decode_rgb(source, ExifOrientation::Ignore).unwrap_err().to_string();
    assert_eq!(reason(b""), "the file is empty");
    assert_eq!(reason(b"GIF88a"), "not a JPEG or PNG: starts with 47 49 46 38 38 61");
    for (file, told) in [
        (&b"GIF89a"[..], "a GIF image"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP image"),
        (b"BM\x46\0\0\0\0\0\0\0", "a BMP image"),
        (b"MM\0*", "a TIFF image"),
        (b"\0\0\0\x1cftypavif", "an AVIF image"),
        (b"\0\0\0\x1cftypmif1", "a HEIC image"),
        (b"\xef\xbb\xbf \n<!DOCTYPE HTML><p>", "a web page (HTML)"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00",
            "a Git LFS pointer: `git lfs pull` brings the file",
        ),
    ] {
        assert_eq!(reason(file), format!("not a JPEG or PNG: {told}"));
    }
    assert_eq!(
        reason(b"\x89PNG\r\n\x1a\n\0\0"),
        "truncated: the PNG data ends before the image is complete (no header)"
    );
    assert_eq!(
        reason(&vector("rejected_scan_each_420.jpg")),
        "unsupported JPEG: sequential, subsampled, and in several scans"
    );
    assert_eq!(
        reason(&vector("rejected_luma_subsampled.jpg")),
        "unsupported JPEG: its first component is not at full resolution"
    );
    let mut none = vector("grey8.png");
    none[16..24].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 9]);
    assert_eq!(reason(&none), "the image has no pixels: 0x9");
    let mut bomb = vector("grey8.png");
    bomb[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(
        reason(&bomb),
        "the image is 2147483647x2147483647 pixels: more than the limit of 128 million"
    );
    let mut bomb = vector("420.jpg");
    let frame = bomb.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bomb[frame + 5..frame + 9].fill(0xff);
    assert_eq!(reason(&bomb), "the image is 65535x65535 pixels: more than the limit of 128 million");
    bomb[frame + 5..frame + 7].fill(0);
    let told = "unsupported JPEG: its height is 0, or follows its first scan in a DNL segment";
    assert_eq!(reason(&bomb), told);
    // The ids of the second component, in the frame and in the scan.
    let mut twice = vector("420.jpg");
    twice[frame + 13] = twice[frame + 10];
    let told = "unsupported JPEG: two of its components have the same id";
    assert_eq!(reason(&twice), told);
    let mut other = vector("420.jpg");
    other[frame + 1] = 0xc9;
    assert_eq!(reason(&other), "unsupported JPEG: arithmetic coding");
    other[frame + 1] = 0xc1;
    other[frame + 4] = 12;
    assert_eq!(reason(&other), "unsupported JPEG: 12 bits per sample");
}
