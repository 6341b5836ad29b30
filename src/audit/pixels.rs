//! Features of a picture without a model: where which colours are, and which way the edges run.

use crate::imaging::{Filter, PixelError, Rgb, scale};

/// The side of the thumbnail whose colours count, in pixels.
const THUMBNAIL: u32 = 8;
/// The side of the grey picture whose edges count, in pixels.
const EDGES: u32 = 64;
/// How many cells of edges a side has.
const CELLS: usize = 8;
/// How many directions an edge may have, over half a turn.
const DIRECTIONS: usize = 9;

/// An 8 × 8 thumbnail in colour, and for each of 8 × 8 cells how strong its edges are in each of 9 directions (histograms
/// of oriented gradients, Dalal and Triggs 2005, each cell brought to one length): 192 and 576 numbers.
///
/// # Errors
/// If the picture cannot be scaled.
pub fn features(rgb: &Rgb) -> Result<Vec<f32>, PixelError> {
    let mut out: Vec<f32> = scale(rgb, THUMBNAIL, THUMBNAIL, Filter::Bilinear)?
        .pixels
        .iter()
        .map(|value| f32::from(*value) / 255.0)
        .collect();
    let small = scale(rgb, EDGES, EDGES, Filter::Bilinear)?;
    let grey: Vec<f32> = small
        .pixels
        .chunks_exact(3)
        .map(|p| (0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2])) / 255.0)
        .collect();
    let side = EDGES as usize;
    let mut cells = vec![0.0f32; CELLS * CELLS * DIRECTIONS];
    for y in 1..side - 1 {
        for x in 1..side - 1 {
            let across = grey[y * side + x + 1] - grey[y * side + x - 1];
            let down = grey[(y + 1) * side + x] - grey[(y - 1) * side + x];
            let strength = across.hypot(down);
            let half_turn = down.atan2(across).rem_euclid(std::f32::consts::PI) / std::f32::consts::PI;
            let direction = ((half_turn * DIRECTIONS as f32) as usize).min(DIRECTIONS - 1);
            let cell = (y * CELLS / side) * CELLS + x * CELLS / side;
            cells[cell * DIRECTIONS + direction] += strength;
        }
    }
    for cell in cells.chunks_exact_mut(DIRECTIONS) {
        let length = cell.iter().map(|x| x * x).sum::<f32>().sqrt() + 0.1;
        cell.iter_mut().for_each(|x| *x /= length);
    }
    out.extend(cells);
    Ok(out)
}

/// The square in the middle of the picture, at `side × side` pixels: what is left in the middle of `side` of `whole` parts
/// of the shortest side.
///
/// # Errors
/// If the picture cannot be scaled.
pub fn middle(rgb: &Rgb, whole: u32, side: u32) -> Result<Rgb, PixelError> {
    let shortest = u64::from(rgb.width.min(rgb.height));
    let cut = (shortest * u64::from(side) / u64::from(whole.max(side).max(1))).max(1) as usize;
    let (width, height) = (rgb.width as usize, rgb.height as usize);
    let (left, top) = ((width.saturating_sub(cut)) / 2, (height.saturating_sub(cut)) / 2);
    let row = |y: usize| {
        let start = ((top + y) * width + left) * 3;
        &rgb.pixels[start..start + cut * 3]
    };
    let pixels = (0..cut).flat_map(|y| row(y).iter().copied()).collect();
    let square = Rgb { width: cut as u32, height: cut as u32, pixels };
    scale(&square, side, side, Filter::Bilinear)
}
