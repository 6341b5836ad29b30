//! The pixels and the errors are those of zune-jpeg 0.5.15, for whole files and for damaged ones.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use zune_core::bytestream::ZCursor;
use zune_core::options::DecoderOptions;

/// The pixels, as far as they were written, and the error or the panic.
type Decoded = (Vec<u8>, Result<(), String>);

macro_rules! decoder {
    ($name:ident, $of:ident) => {
        fn $name(file: &[u8], strict: bool) -> Decoded {
            let mut pixels = Vec::new();
            let decoded = catch_unwind(AssertUnwindSafe(|| {
                let options = DecoderOptions::default().set_strict_mode(strict);
                let mut decoder = $of::JpegDecoder::new_with_options(ZCursor::new(file), options);
                decoder.decode_headers().map_err(|error| format!("{error:?}"))?;
                pixels.resize(decoder.output_buffer_size().unwrap(), 0);
                decoder.decode_into(&mut pixels).map_err(|error| format!("{error:?}"))
            }));
            (pixels, decoded.unwrap_or_else(|_| Err("a panic".into())))
        }
    };
}
decoder!(stock, zune_jpeg);
decoder!(ours, isn_jpeg);

/// Returns how many of the two ways decode.
fn same(file: &[u8], what: &dyn std::fmt::Display) -> usize {
    let mut decoded = 0;
    for strict in [true, false] {
        let (want, got) = (stock(file, strict), ours(file, strict));
        assert_eq!(want.1, got.1, "{what}, strict: {strict}");
        assert!(want.0 == got.0, "{what}, strict: {strict}: other pixels");
        decoded += usize::from(got.1.is_ok());
    }
    decoded
}

/// Reproducible noise (xorshift64, Marsaglia 2003).
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Waves, edges and noise, so that blocks have few coefficients and many.
fn picture(width: usize, height: usize, channels: usize, noise: &mut Noise) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(width * height * channels);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..channels {
                let wave = (x * (channel + 1) / 3 + y * y / 40) % 256;
                let edge = if (x / 24 + y / 20) % 3 == 0 { 90 } else { 0 };
                let rough = if y < height / 3 { 0 } else { noise.below(1 + x * 200 / width) };
                pixels.push(((wave + edge + rough) % 256) as u8);
            }
        }
    }
    pixels
}

/// Files of all layouts, larger than the vectors of isn-pixels.
fn drawn() -> Vec<(String, Vec<u8>)> {
    let mut noise = Noise(7);
    let mut files = Vec::new();
    let samplings = [
        SamplingFactor::F_1_1,
        SamplingFactor::F_2_1,
        SamplingFactor::F_1_2,
        SamplingFactor::F_2_2,
        SamplingFactor::F_4_1,
    ];
    for (at, sampling) in samplings.into_iter().enumerate() {
        for color in [ColorType::Rgb, ColorType::Luma, ColorType::Cmyk] {
            for (quality, restart, optimized, progressive) in [
                (100, 0, false, false),
                (96, 0, true, false),
                (90, 5, false, false),
                (75, 40, true, false),
                (90, 0, true, true),
            ] {
                let (width, height) = (190 + 13 * at, 141 - 7 * at);
                let channels = match color {
                    ColorType::Luma => 1,
                    ColorType::Rgb => 3,
                    _ => 4,
                };
                let pixels = picture(width, height, channels, &mut noise);
                let mut file = Vec::new();
                let mut encoder = Encoder::new(&mut file, quality);
                encoder.set_sampling_factor(sampling);
                encoder.set_optimized_huffman_tables(optimized);
                encoder.set_progressive(progressive);
                if restart > 0 {
                    encoder.set_restart_interval(restart);
                }
                encoder.encode(&pixels, width as u16, height as u16, color).unwrap();
                let kind = if progressive { "progressive" } else { "sequential" };
                files.push((
                    format!("{kind} {color:?} {sampling:?} quality {quality} restart {restart} optimized {optimized}"),
                    file,
                ));
            }
        }
    }
    files
}

/// The JPEGs below `path`.
fn below(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| below(entry, found));
    } else if path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("jpg") || end.eq_ignore_ascii_case("jpeg"))
    {
        found.push(path.into());
    }
}

fn vectors() -> Vec<(String, Vec<u8>)> {
    let mut paths = Vec::new();
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../isn-pixels/vectors"), &mut paths);
    assert!(paths.len() > 20, "{}", paths.len());
    paths.into_iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

/// Damages a file in one of eight ways, most of them within its scans.
fn damage(file: &mut Vec<u8>, noise: &mut Noise) {
    let scan = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap_or(0);
    let len = file.len();
    let inside = |noise: &mut Noise| scan + noise.below(len - scan);
    let at = inside(noise);
    match noise.below(8) {
        0 => file.truncate(at),
        1 => {
            file.truncate(at);
            file.extend([0xff, 0xd9]);
        }
        2 => {
            for at in (0..=noise.below(4)).map(|_| inside(noise)).collect::<Vec<_>>() {
                file[at] ^= 1 << noise.below(8);
            }
        }
        3 => {
            for _ in 0..=noise.below(4) {
                let at = noise.below(file.len().min(scan + 20));
                file[at] ^= 1 << noise.below(8);
            }
        }
        4 => {
            file[at] = 0xff;
            if let Some(marker) = file.get_mut(at + 1) {
                *marker = 0xd0 + noise.below(16) as u8;
            }
        }
        5 => drop(file.drain(at..(at + noise.below(40)).min(len))),
        6 => {
            let more: Vec<u8> = (0..noise.below(40)).map(|_| noise.below(256) as u8).collect();
            file.splice(at..at, more);
        }
        _ => {
            let to = (at + 1 + noise.below(300)).min(file.len());
            file[at..to].iter_mut().for_each(|byte| *byte = noise.below(256) as u8);
        }
    }
}

#[test]
fn whole_files_are_decoded_as_by_zune_jpeg() {
    let files = [vectors(), drawn()].concat();
    let decoded: usize = files.iter().map(|(name, file)| same(file, name)).sum();
    assert!(decoded > files.len(), "{decoded} of {}", files.len());
}

#[test]
fn damaged_files_are_decoded_or_refused_as_by_zune_jpeg() {
    let files = [vectors(), drawn()].concat();
    let mut noise = Noise(3);
    let mut decoded = 0;
    for number in 0..3000 {
        let (name, mut file) = files[noise.below(files.len())].clone();
        damage(&mut file, &mut noise);
        decoded += same(&file, &format_args!("damage {number} of {name}"));
    }
    assert!((2000..5000).contains(&decoded), "{decoded}");
}

/// All real files; passes if there are none.
#[test]
fn real_files_are_decoded_as_by_zune_jpeg() {
    let data = std::env::var_os("ISN_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let mut paths = Vec::new();
    for folder in ["ilsvrc-raw", "photos"] {
        let folder = data.join(folder);
        if folder.is_dir() {
            below(&folder, &mut paths);
        }
    }
    for path in paths {
        same(&std::fs::read(&path).unwrap(), &path.display());
    }
}
