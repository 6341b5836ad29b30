//! Feature vectors of images, from a layer of a model or from the pixels themselves.

use super::subject::Subject;
use crate::audit::matrix::{Matrix, Values};
#[cfg(feature = "onnx")]
use crate::audit::onnx::Network;
use crate::audit::pixels;
use crate::parallel;
use crate::progress::{Progress, Unit};
use isn_format::error::{Error, Mistake, Result, about, chain};
#[cfg(feature = "onnx")]
use isn_pixels::Rgb;
use isn_pixels::decode_rgb;

/// The input that a model expects.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOptions {
    /// The name of the output tensor; the model's first output if `None`.
    pub layer: Option<String>,
    /// The side of its square input in pixels; what the model says if `None`.
    pub side: Option<usize>,
    /// Whether channels are in the order blue, green, red.
    pub bgr: bool,
    /// The mean subtracted from each channel, in the model's order, for values from 0 to 255.
    pub mean: [f32; 3],
    /// The deviation by which the result is divided.
    pub deviation: [f32; 3],
}

/// Computes features from the pixels alone, one row for each image that can be decoded.
///
/// # Errors
/// As [`of_model`].
pub(crate) fn of_pixels(subject: &Subject, jobs: usize, progress: &dyn Progress) -> Result<Features> {
    each(subject, jobs, progress, |bytes| {
        let rgb = decode_rgb(bytes, subject.orientation).map_err(|e| e.to_string())?;
        pixels::features(&rgb).map_err(|e| e.to_string())
    })
}

/// Features, and the images of a folder that have no row, with the reason.
pub(crate) type Features = (Matrix, Vec<(usize, String)>);

/// Computes a layer of an ONNX model, one row for each image that can be decoded.
///
/// # Errors
/// Those of [`Network::open`]; [`Error::Mistakes`] with every image of a version that cannot be read, or if
/// no image of a folder can be.
#[cfg(feature = "onnx")]
pub(crate) fn of_model(
    subject: &Subject,
    model: &std::path::Path,
    options: &ModelOptions,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Features> {
    let network = Network::open(model, options.layer.as_deref(), options.side)?;
    let side = network.side() as u32;
    each(subject, jobs, progress, |bytes| {
        let rgb = decode_rgb(bytes, subject.orientation).map_err(|e| e.to_string())?;
        // The usual crop when models are tested: the central 7/8 of the shortest side.
        let picture = pixels::middle(&rgb, side * 8 / 7, side).map_err(|e| e.to_string())?;
        network.embed(&normalised(&picture, options)).map_err(|e| e.to_string())
    })
}

/// Computes a layer of an ONNX model, which needs the feature `onnx`.
///
/// # Errors
/// Always [`Error::Invalid`].
#[cfg(not(feature = "onnx"))]
pub(crate) fn of_model(
    _: &Subject,
    model: &std::path::Path,
    _: &ModelOptions,
    _: usize,
    _: &dyn Progress,
) -> Result<Features> {
    let why = "is a model, and this isn was built without onnx: build it with `cargo build --release --features onnx`";
    Err(Error::invalid(model.display(), why))
}

#[cfg(feature = "onnx")]
fn normalised(picture: &Rgb, options: &ModelOptions) -> Vec<f32> {
    let mut out = Vec::with_capacity(picture.pixels.len());
    for pixel in picture.pixels.chunks_exact(3) {
        for channel in 0..3 {
            let value = f32::from(pixel[if options.bgr { 2 - channel } else { channel }]);
            out.push((value - options.mean[channel]) / options.deviation[channel]);
        }
    }
    out
}

fn each(
    subject: &Subject,
    jobs: usize,
    progress: &dyn Progress,
    features: impl Fn(&[u8]) -> Result<Vec<f32>, String> + Sync,
) -> Result<Features> {
    let (mut values, mut undecodable) = (Vec::new(), Vec::new());
    let count = subject.images.len();
    let places: Vec<usize> = (0..count).collect();
    progress.begin("look", Unit::Images, count as u64);
    let work = |(): &mut (), at: &usize| -> Result<Vec<f32>, String> {
        features(&subject.read(*at).map_err(|e| chain(&e))?)
    };
    let done = parallel::in_order(
        jobs,
        2 * jobs,
        &places,
        || (),
        work,
        |at, row| {
            match row {
                Ok(row) => values.extend(row),
                Err(why) => undecodable.push((at, why)),
            }
            progress.advance(1);
            Ok::<(), Error>(())
        },
    );
    progress.end();
    done?;
    let rows = count - undecodable.len();
    if !undecodable.is_empty() && (!subject.is_folder() || rows == 0) {
        let mistake =
            |(at, why): (usize, String)| Mistake { line: None, why: about(&subject.images[at].path, why) };
        let mistakes = undecodable.into_iter().map(mistake).collect();
        return Err(Error::Mistakes { what: subject.what.clone(), mistakes });
    }
    let columns = values.len() / rows.max(1);
    let matrix = Matrix::new(rows, columns, Values::Single(values))
        .ok_or_else(|| Error::Internal("features of different lengths".into()))?;
    Ok((matrix, undecodable))
}
