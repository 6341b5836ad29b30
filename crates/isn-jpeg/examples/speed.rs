//! `speed ROUNDS PATH...` decodes the JPEGs below the paths by zune-jpeg and by isn-jpeg in turn, and prints
//! the median processor time of each for a file, and of their ratio in a round.

use std::path::{Path, PathBuf};

use zune_core::bytestream::ZCursor;
use zune_core::options::DecoderOptions;

macro_rules! decoder {
    ($name:ident, $of:ident) => {
        fn $name(file: &[u8], pixels: &mut Vec<u8>) {
            let options = DecoderOptions::default().set_strict_mode(true);
            let mut decoder = $of::JpegDecoder::new_with_options(ZCursor::new(file), options);
            decoder.decode_headers().unwrap();
            pixels.resize(decoder.output_buffer_size().unwrap(), 0);
            // Some of the files of a test are damaged.
            let _ = decoder.decode_into(pixels);
        }
    };
}
decoder!(stock, zune_jpeg);
decoder!(ours, isn_jpeg);

fn read(path: &Path, files: &mut Vec<Vec<u8>>) {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| read(entry, files));
    } else if path
        .extension()
        .is_some_and(|end| ["jpg", "jpeg"].iter().any(|jpeg| end.eq_ignore_ascii_case(jpeg)))
    {
        files.push(std::fs::read(path).unwrap());
    }
}

/// The processor time of this thread in nanoseconds, as Linux counts it.
fn time() -> f64 {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    counts.split(' ').next().unwrap().parse().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().unwrap().parse().unwrap();
    let mut files = Vec::new();
    arguments.for_each(|path| read(path.as_ref(), &mut files));
    let mut pixels = Vec::new();
    let mut run = |decode: fn(&[u8], &mut Vec<u8>)| {
        let start = time();
        files.iter().for_each(|file| decode(file, &mut pixels));
        (time() - start) / 1000.0 / files.len() as f64
    };
    let times: Vec<(f64, f64)> = (0..rounds).map(|_| (run(stock), run(ours))).collect();
    let ratios = times.iter().map(|(stock, ours)| ours / stock).collect();
    let (stock, ours): (Vec<f64>, Vec<f64>) = times.into_iter().unzip();
    println!(
        "{} files: zune-jpeg {:.0} us, isn-jpeg {:.0} us, ratio {:.3}",
        files.len(),
        median(stock),
        median(ours),
        median(ratios)
    );
}
