//! Feature vectors of images, from a layer of a model, a file or a folder of saved ones, or from the pixels
//! themselves.

use std::path::Path;

use super::labels::read_npy;
use super::subject::Subject;
use crate::audit::matrix::{Matrix, Values};
#[cfg(feature = "onnx")]
use crate::audit::onnx::{LIBRARY, Network, weight_files};
use crate::audit::pixels;
use crate::embeddings::Embeddings;
#[cfg(feature = "onnx")]
use crate::embeddings::Method;
use crate::parallel;
use crate::progress::{Progress, Unit};
use crate::share::Share;
use isn_format::digest::Digest;
use isn_format::error::{Error, Mistake, Result, about, chain, count};
use isn_format::text::shell_path;
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

/// Features, and the images of a folder that have no row, with the reason.
pub(crate) type Features = (Matrix, Vec<(usize, String)>);

/// Computes features from the pixels alone, one row for each image that can be decoded.
///
/// # Errors
/// As [`of_model`].
pub(crate) fn of_pixels(subject: &Subject, jobs: usize, progress: &dyn Progress) -> Result<Features> {
    let all: Vec<usize> = (0..subject.images.len()).collect();
    let mut values = Vec::new();
    let features = |at: usize| {
        let rgb = decode_rgb(&read(subject, at)?, subject.orientation).map_err(|e| e.to_string())?;
        pixels::features(&rgb).map_err(|e| e.to_string())
    };
    let take = |_, row: Vec<f32>| {
        values.extend(row);
        Ok(())
    };
    let undecodable = each(subject, &all, jobs, progress, features, take)?;
    finish(all.len(), values, undecodable)
}

/// Reads the embeddings in a file, or those of the images in a folder of saved ones.
///
/// # Errors
/// [`Error::Invalid`] if the file has more or fewer rows than there are images, or is not valid, or if the
/// folder lacks an image that can be decoded; as [`of_model`].
pub(crate) fn of_path(
    subject: &Subject,
    path: &Path,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Features> {
    if path.is_dir() {
        return of_saved(subject, path, jobs, progress);
    }
    let what = path.display().to_string();
    let rows = read_npy(path)?.into_matrix(&what)?;
    if rows.rows() != subject.images.len() {
        let images = count(subject.images.len(), "image");
        let why = format!("has {}, but {} has {images}", count(rows.rows(), "row"), subject.what);
        return Err(Error::invalid(what, why));
    }
    Ok((rows, Vec::new()))
}

fn of_saved(subject: &Subject, folder: &Path, jobs: usize, progress: &dyn Progress) -> Result<Features> {
    let (saved, method) = Embeddings::open(folder)?;
    let exif = subject.orientation.as_str();
    if subject.is_folder() && method.exif_orientation != exif {
        let why = format!(
            "was made with exif_orientation = \"{}\", and {} is read with \"{exif}\": give the same --recipe",
            method.exif_orientation, subject.what
        );
        return Err(Error::invalid(folder.display(), why));
    }
    let all: Vec<usize> = (0..subject.images.len()).collect();
    let (mut values, mut absent) = (Vec::new(), Vec::new());
    let find = |at: usize| {
        let (image, bytes) = match subject.digest(at) {
            Some(image) => (image, None),
            None => {
                let bytes = read(subject, at)?;
                (Digest::of(&bytes), Some(bytes))
            }
        };
        if saved.get(&image).is_some() {
            return Ok(Some(image));
        }
        // One that cannot be decoded has no embedding, and is left out as elsewhere.
        let bytes = bytes.map_or_else(|| read(subject, at), Ok)?;
        decode_rgb(&bytes, subject.orientation).map(|_| None).map_err(|e| e.to_string())
    };
    let take = |at, image: Option<Digest>| {
        match image.and_then(|image| saved.get(&image)) {
            Some(row) => values.extend_from_slice(row),
            None => absent.push(at),
        }
        Ok(())
    };
    let undecodable = each(subject, &all, jobs, progress, find, take)?;
    if let Some(&first) = absent.first() {
        let why = format!(
            "has no embedding of {} of {}, the first is {}: compute them with `isn audit labels {} --onnx MODEL \
             {} --save-embeddings {}`, with the same --recipe and --registry",
            count(absent.len(), "image"),
            subject.what,
            subject.images[first].path,
            shell_path(&subject.what),
            method.options(),
            shell_path(folder)
        );
        return Err(Error::invalid(folder.display(), why));
    }
    finish(all.len(), values, undecodable)
}

/// Computes a layer of an ONNX model, one row for each image that can be decoded. With `save`, the rows of
/// images that are in that folder are taken from it, and the others are added.
///
/// # Errors
/// Those of [`Network::open`] and [`Embeddings::open_for`]; [`Error::Mistakes`] with every image of a version
/// that cannot be read, or if no image of a folder can be.
#[cfg(feature = "onnx")]
pub(crate) fn of_model(
    subject: &Subject,
    (model, options): (&Path, &ModelOptions),
    save: Option<&Path>,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Features> {
    let all: Vec<usize> = (0..subject.images.len()).collect();
    let network = Network::open(model, options.layer.as_deref(), options.side)?;
    let mut values = Vec::new();
    let undecodable = match save {
        None => {
            let features = |at: usize| embed(&network, options, subject, &read(subject, at)?);
            let take = |_, row: Vec<f32>| {
                values.extend(row);
                Ok(())
            };
            each(subject, &all, jobs, progress, features, take)?
        }
        Some(folder) => {
            let mut saved = Embeddings::open_for(folder, &method(&network, model, options, subject)?)?;
            let mut images = Vec::new();
            let undecodable = add(&mut saved, (&network, options), subject, &all, jobs, progress, |image| {
                images.push(image);
            })?;
            images.iter().filter_map(|image| saved.get(image)).for_each(|row| values.extend_from_slice(row));
            undecodable
        }
    };
    finish(all.len(), values, undecodable)
}

/// What came of [`save_share`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The number of images in the part.
    pub images: usize,
    /// How many of them cannot be decoded.
    pub undecodable: usize,
}

/// Computes the embeddings of a part of the images that a folder does not have, and adds them to it.
///
/// # Errors
/// [`Error::Invalid`] if the model cannot be used, or the folder is of another method or damaged;
/// [`Error::Io`] if it cannot be written; [`Error::Mistakes`] if an image of a version cannot be read, or no
/// image of a folder.
#[cfg(feature = "onnx")]
pub fn save_share(
    subject: &Subject,
    (model, options): (&Path, &ModelOptions),
    folder: &Path,
    share: Share,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Saved> {
    let places: Vec<usize> = (share.part..subject.images.len()).step_by(share.of).collect();
    let network = Network::open(model, options.layer.as_deref(), options.side)?;
    let mut saved = Embeddings::open_for(folder, &method(&network, model, options, subject)?)?;
    let undecodable = add(&mut saved, (&network, options), subject, &places, jobs, progress, |_| ())?;
    Ok(Saved { images: places.len(), undecodable: undecodable.len() })
}

/// Computes a layer of an ONNX model, which needs the feature `onnx`.
///
/// # Errors
/// Always [`Error::Invalid`].
#[cfg(not(feature = "onnx"))]
pub(crate) fn of_model(
    _: &Subject,
    (model, _): (&Path, &ModelOptions),
    _: Option<&Path>,
    _: usize,
    _: &dyn Progress,
) -> Result<Features> {
    Err(without_onnx(model))
}

/// Computes a layer of an ONNX model, which needs the feature `onnx`.
///
/// # Errors
/// Always [`Error::Invalid`].
#[cfg(not(feature = "onnx"))]
pub fn save_share(
    _: &Subject,
    (model, _): (&Path, &ModelOptions),
    _: &Path,
    _: Share,
    _: usize,
    _: &dyn Progress,
) -> Result<Saved> {
    Err(without_onnx(model))
}

#[cfg(not(feature = "onnx"))]
fn without_onnx(model: &Path) -> Error {
    let why = "is a model, and this isn was built without onnx: build it with `cargo build --release --features onnx`";
    Error::invalid(model.display(), why)
}

/// Adds the rows of some images to a folder, unless it has them. Calls `seen` with each image that is or now
/// comes in it, in order. What was computed is saved even if this fails.
#[cfg(feature = "onnx")]
fn add(
    saved: &mut Embeddings,
    (network, options): (&Network, &ModelOptions),
    subject: &Subject,
    places: &[usize],
    jobs: usize,
    progress: &dyn Progress,
    mut seen: impl FnMut(Digest),
) -> Result<Vec<(usize, String)>> {
    let known = saved.images();
    let features = |at: usize| {
        if let Some(image) = subject.digest(at).filter(|image| known.contains(image)) {
            return Ok((image, None));
        }
        let bytes = read(subject, at)?;
        let image = Digest::of(&bytes);
        if known.contains(&image) {
            return Ok((image, None));
        }
        embed(network, options, subject, &bytes).map(|row| (image, Some(row)))
    };
    let take = |at: usize, (image, row): (Digest, Option<Vec<f32>>)| {
        seen(image);
        row.map_or(Ok(()), |row| saved.push(image, &subject.images[at].path, &row))
    };
    let done = each(subject, places, jobs, progress, features, take);
    saved.save()?;
    done
}

/// How a model and options compute embeddings.
#[cfg(feature = "onnx")]
fn method(network: &Network, model: &Path, options: &ModelOptions, subject: &Subject) -> Result<Method> {
    let hash = |file: &Path| {
        let mut hasher = blake3::Hasher::new();
        let read = std::fs::File::open(file).and_then(|file| hasher.update_reader(file).map(drop));
        read.map_err(Error::io("read", file))?;
        Ok(Digest::of_hasher(&hasher))
    };
    Ok(Method {
        format: crate::embeddings::FORMAT.into(),
        model: hash(model)?,
        weights: weight_files(model)?.iter().map(|file| hash(file)).collect::<Result<_>>()?,
        layer: network.layer().into(),
        side: network.side(),
        channels: if options.bgr { "bgr" } else { "rgb" }.into(),
        mean: options.mean,
        std: options.deviation,
        crop: CROP.into(),
        exif_orientation: subject.orientation.as_str().into(),
        library: LIBRARY.into(),
    })
}

/// What [`embed`] takes of a picture. Another crop or filter has another name.
#[cfg(feature = "onnx")]
const CROP: &str = "middle 7/8 of the shortest side, bilinear";

/// Computes the layer for one image.
#[cfg(feature = "onnx")]
fn embed(
    network: &Network,
    options: &ModelOptions,
    subject: &Subject,
    bytes: &[u8],
) -> Result<Vec<f32>, String> {
    let side = network.side() as u32;
    let rgb = decode_rgb(bytes, subject.orientation).map_err(|e| e.to_string())?;
    // The usual crop when models are tested.
    let picture = pixels::middle(&rgb, side * 8 / 7, side).map_err(|e| e.to_string())?;
    network.embed(&normalised(&picture, options)).map_err(|e| e.to_string())
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

fn read(subject: &Subject, at: usize) -> Result<Vec<u8>, String> {
    subject.read(at).map_err(|e| chain(&e))
}

/// Works on images on all threads, and takes what comes of them in their order. Returns those with which it
/// failed, with the reason.
fn each<R: Send>(
    subject: &Subject,
    places: &[usize],
    jobs: usize,
    progress: &dyn Progress,
    work: impl Fn(usize) -> Result<R, String> + Sync,
    mut take: impl FnMut(usize, R) -> Result<()>,
) -> Result<Vec<(usize, String)>> {
    let mut failed = Vec::new();
    progress.begin("look", Unit::Images, places.len() as u64);
    let done = parallel::in_order(
        jobs,
        2 * jobs,
        places,
        || (),
        |(): &mut (), at: &usize| work(*at),
        |number, row| {
            match row {
                Ok(row) => take(places[number], row)?,
                Err(why) => failed.push((places[number], why)),
            }
            progress.advance(1);
            Ok::<(), Error>(())
        },
    );
    progress.end();
    done?;
    if !failed.is_empty() && (!subject.is_folder() || failed.len() == places.len()) {
        let mistake =
            |(at, why): (usize, String)| Mistake { line: None, why: about(&subject.images[at].path, why) };
        let mistakes = failed.into_iter().map(mistake).collect();
        return Err(Error::Mistakes { what: subject.what.clone(), mistakes });
    }
    Ok(failed)
}

/// Makes a matrix of the rows of all images but those that failed.
fn finish(images: usize, values: Vec<f32>, undecodable: Vec<(usize, String)>) -> Result<Features> {
    let rows = images - undecodable.len();
    let columns = values.len() / rows.max(1);
    let matrix = Matrix::new(rows, columns, Values::Single(values))
        .ok_or_else(|| Error::Internal("features of different lengths".into()))?;
    Ok((matrix, undecodable))
}
