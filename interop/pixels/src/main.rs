//! The imaging part of isn: `pixels FILE...` prints what each file becomes at shortest side 160. Its tests
//! are those of the module itself.

#[path = "../../../src/digest.rs"]
#[allow(dead_code)]
mod digest;
#[path = "../../../src/imaging/mod.rs"]
#[allow(dead_code)]
mod imaging;

use imaging::{Encoding, ExifOrientation, Filter, Outcome, Pipeline, PixelSpec, Small, self_check};

fn main() -> Result<(), Box<dyn std::error::Error>> {
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
                Ok(Outcome::Built(built)) => format!(
                    "{}x{} {} {}",
                    built.width,
                    built.height,
                    built.pixels,
                    digest::Digest::of(&built.bytes)
                ),
                Ok(Outcome::Dropped) => "dropped".into(),
                Err(error) => error.to_string(),
            };
            println!("{path} {result}");
        }
    }
    Ok(())
}
