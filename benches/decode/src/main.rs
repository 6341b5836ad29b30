//! Decodes every file in the folders below the one named, one after the other, by zune-jpeg, and does
//! nothing else. `build.py` runs and times it.

use std::path::Path;

use zune_core::bytestream::ZCursor;
use zune_jpeg::JpegDecoder;

fn main() {
    let root = std::env::args().nth(1).unwrap();
    let mut pixels = Vec::new();
    decode_below(Path::new(&root), &mut pixels);
}

fn decode_below(dir: &Path, pixels: &mut Vec<u8>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            decode_below(&path, pixels);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let mut decoder = JpegDecoder::new(ZCursor::new(bytes.as_slice()));
        decoder.decode_headers().unwrap();
        pixels.resize(decoder.output_buffer_size().unwrap(), 0);
        decoder.decode_into(pixels).unwrap();
    }
}
