//! Features of a picture without a model: where which colours are, and the directions of edges.

use std::f32::consts::PI;

use isn_format::pixel_spec::Filter;
use isn_pixels::{PixelError, Rgb, scale};

/// The side of the colour thumbnail, in pixels.
const THUMBNAIL: u32 = 8;
/// The side of the grey picture for edges, in pixels.
const EDGES: u32 = 64;
/// The number of cells of edges in each direction.
const CELLS: usize = 8;
/// The number of directions of edges, over half a turn.
const DIRECTIONS: usize = 9;

/// Returns an 8 × 8 colour thumbnail, and for each of 8 × 8 cells the strength of its edges in each of 9
/// directions (histograms of oriented gradients, Dalal and Triggs 2005, with each cell normalised): 192 and
/// 576 numbers.
///
/// # Errors
/// [`PixelError`] if the picture cannot be scaled.
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
            let (a, d) = (f64::from(across), f64::from(down));
            let strength = (a * a + d * d).sqrt() as f32;
            let half_turn = libm::atan2f(down, across).rem_euclid(PI) / PI;
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

/// Returns the central square of the picture at `side × side` pixels. The square is `side / whole` of the
/// shortest side.
///
/// # Errors
/// [`PixelError`] if the picture cannot be scaled.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, of: impl Fn(u32, u32) -> [u8; 3]) -> Rgb {
        let pixels =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| of(x, y)).collect();
        Rgb { width, height, pixels }
    }

    #[test]
    fn the_middle_is_the_middle() {
        // 7/8 of 16 is 14: the red begins at the left edge of that, and ends at its right edge.
        let red = |x: u32, _| if (9..23).contains(&x) { [255, 0, 0] } else { [0, 0, 255] };
        let middle = middle(&picture(32, 16, red), 8, 7).unwrap();
        assert_eq!((middle.width, middle.height), (7, 7));
        assert!(middle.pixels.chunks_exact(3).all(|pixel| pixel == [255, 0, 0]), "{:?}", middle.pixels);
    }

    #[test]
    fn a_picture_of_any_shape_has_features_and_a_middle() {
        for (width, height) in [(1, 1), (1, 3000), (3000, 1), (7, 7), (64, 65)] {
            let rgb = picture(width, height, |x, y| [x as u8, y as u8, (x * y) as u8]);
            assert_eq!(features(&rgb).unwrap().len(), 192 + 576);
            assert_eq!(middle(&rgb, 256, 224).unwrap().pixels.len(), 224 * 224 * 3);
        }
    }

    #[test]
    fn edges_have_their_direction() {
        let upright =
            features(&picture(64, 64, |x, _| if x / 4 % 2 == 0 { [255; 3] } else { [0; 3] })).unwrap();
        let lying =
            features(&picture(64, 64, |_, y| if y / 4 % 2 == 0 { [255; 3] } else { [0; 3] })).unwrap();
        let strongest = |of: &[f32]| {
            let cell = &of[192 + 27 * DIRECTIONS..][..DIRECTIONS];
            (0..DIRECTIONS).max_by(|a, b| cell[*a].total_cmp(&cell[*b])).unwrap()
        };
        assert_eq!((strongest(&upright), strongest(&lying)), (0, 4));
    }
}
