//! `pixels FILE...` prints the hashes of each file's image at shortest side 160, as PNG and as JPEG, and on
//! stderr the CPU extensions that the codecs can use. `interop/pixels.sh` compares its output on different
//! CPUs.

use isn_format::digest::Digest;
use isn_format::pixel_spec::{Encoding, ExifOrientation, Filter, PixelSpec, Small};
use isn_pixels::{Outcome, Pipeline, self_check};

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a program, to be looked at")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    eprintln!("{}", cpu());
    self_check()?;
    let pipeline = |encode| {
        let (filter, small, exif_orientation) = (Filter::CatmullRom, Small::Keep, ExifOrientation::Ignore);
        Pipeline::new(PixelSpec { size: 160, filter, encode, small, exif_orientation })
    };
    let mut pipelines = [pipeline(Encoding::Png), pipeline(Encoding::Jpeg { quality: 95 })];
    for path in std::env::args().skip(1) {
        let source = std::fs::read(&path)?;
        for pipeline in &mut pipelines {
            let result = match pipeline.build(&source) {
                Ok(Outcome::Built(built)) => {
                    format!("{}x{} {} {}", built.width, built.height, built.pixels, Digest::of(&built.bytes))
                }
                Ok(Outcome::Dropped) => "dropped".into(),
                Err(error) => error.to_string(),
            };
            println!("{path} {result}");
        }
    }
    Ok(())
}

/// Returns the architecture, and the extensions for which the codecs have code.
fn cpu() -> String {
    #[cfg(target_arch = "x86_64")]
    let extensions = [
        ("sse4.1", std::arch::is_x86_feature_detected!("sse4.1")),
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
    ];
    #[cfg(target_arch = "aarch64")]
    let extensions = [("neon", std::arch::is_aarch64_feature_detected!("neon"))];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let extensions: [(&str, bool); 0] = [];
    let order = if cfg!(target_endian = "big") { "big-endian" } else { "little-endian" };
    let extensions =
        extensions.map(|(name, there)| format!("{} {name}", if there { "with" } else { "without" }));
    [&[std::env::consts::ARCH.to_string(), order.to_string()][..], &extensions[..]].concat().join(", ")
}
