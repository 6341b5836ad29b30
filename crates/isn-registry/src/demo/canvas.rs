//! [`Canvas`]: pixels that shapes are painted on, with edges smoothed by coverage; and [`Brush`], which
//! paints in the coordinates of the thing drawn.

use super::paint::{Colour, Paint};
use super::random::Random;
use super::shape::{Affine, Path, Point};

/// An image in progress: rows of colours from the top, as unrounded sRGB values.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Colour>,
}

/// The number of sample lines in a row of pixels. Along a line, coverage is exact.
const LINES: i64 = 4;

impl Canvas {
    /// Makes a black canvas.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Canvas { width, height, pixels: vec![Colour([0.0; 3]); width * height] }
    }

    /// Returns the width in pixels.
    pub(super) fn width(&self) -> f64 {
        self.width as f64
    }

    /// Returns the height in pixels.
    pub(super) fn height(&self) -> f64 {
        self.height as f64
    }

    /// Returns a brush whose unit is half the shorter side, with its origin at the centre.
    pub(super) fn brush(&mut self) -> Brush<'_> {
        let half = self.width().min(self.height()) / 2.0;
        let at = Affine::shift(self.width() / 2.0, self.height() / 2.0).of(Affine::scale(half, half));
        Brush { canvas: self, at }
    }

    /// Recomputes every pixel from its position in pixels and its current colour.
    pub(super) fn repaint(&mut self, mut colour: impl FnMut(f64, f64, Colour) -> Colour) {
        for (i, pixel) in self.pixels.iter_mut().enumerate() {
            *pixel = colour((i % self.width) as f64 + 0.5, (i / self.width) as f64 + 0.5, *pixel);
        }
    }

    /// Blurs the canvas: two passes of a box of `2 * radius + 1` pixels, across and down.
    pub(super) fn blur(&mut self, radius: usize) {
        for _ in 0..2 {
            let (width, height) = (self.width, self.height);
            for y in 0..height {
                blur_line(&mut self.pixels[y * width..(y + 1) * width], 1, radius);
            }
            for x in 0..width {
                blur_line(&mut self.pixels[x..], width, radius);
            }
        }
    }

    /// Adds sensor noise: moves each value by up to `±strength`, by small amounts more often.
    pub(super) fn grain(&mut self, strength: f64, random: &mut Random) {
        for pixel in &mut self.pixels {
            let (common, red, blue) =
                (random.about(strength), random.about(strength), random.about(strength));
            let [r, g, b] = pixel.0;
            *pixel = Colour([r + common + red * 0.4, g + common, b + common + blue * 0.4]);
        }
    }

    /// Returns the finished pixels as RGB8, rows from the top.
    pub(super) fn to_rgb(&self) -> Vec<u8> {
        self.pixels.iter().flat_map(|pixel| pixel.0.map(to_byte)).collect()
    }

    /// Returns the finished pixels with one byte of luma each.
    pub(super) fn to_grey(&self) -> Vec<u8> {
        self.pixels.iter().map(|pixel| to_byte(pixel.luma())).collect()
    }

    fn fill(&mut self, path: &Path, at: &Affine, paint: &Paint) {
        let back = at.inverse();
        let mut crossings = self.crossings(path, at);
        crossings
            .sort_by(|a, b| a.line.cmp(&b.line).then(a.x.total_cmp(&b.x)).then(a.winding.cmp(&b.winding)));
        let mut covered = vec![0.0f64; self.width];
        for row in crossings.chunk_by(|a, b| a.line / LINES == b.line / LINES) {
            covered.fill(0.0);
            for line in row.chunk_by(|a, b| a.line == b.line) {
                let mut winding = 0;
                for pair in line.windows(2) {
                    winding += pair[0].winding;
                    if winding != 0 {
                        cover(&mut covered, pair[0].x, pair[1].x);
                    }
                }
            }
            let y = (row[0].line / LINES) as usize;
            let (left, right) = row
                .iter()
                .fold((f64::MAX, 0.0), |(left, right): (f64, f64), c| (left.min(c.x), right.max(c.x)));
            let touched = covered.iter().enumerate().take(right.ceil() as usize).skip(left.max(0.0) as usize);
            for (x, &share) in touched.filter(|(_, share)| **share > 0.0) {
                let colour = paint.at(back.point((x as f64 + 0.5, y as f64 + 0.5)));
                let pixel = &mut self.pixels[y * self.width + x];
                *pixel = pixel.mix(colour, share.min(1.0) * paint.opacity());
            }
        }
    }

    /// Returns where the outline crosses the sample lines of the canvas.
    fn crossings(&self, path: &Path, at: &Affine) -> Vec<Crossing> {
        let lines = self.height as i64 * LINES;
        let mut crossings = Vec::new();
        for contour in &path.contours {
            let placed: Vec<Point> = contour.iter().map(|&p| at.point(p)).collect();
            for (i, &start) in placed.iter().enumerate() {
                let end = placed[(i + 1) % placed.len()];
                let (upper, lower, winding) =
                    if start.1 < end.1 { (start, end, 1) } else { (end, start, -1) };
                // Line k is at y = (k + 1/2) / LINES. An edge includes its upper end only, so none is counted
                // twice.
                let first = (upper.1 * LINES as f64 - 0.5).ceil().max(0.0) as i64;
                let past = ((lower.1 * LINES as f64 - 0.5).ceil().max(0.0) as i64).min(lines);
                for line in first..past {
                    let y = (line as f64 + 0.5) / LINES as f64;
                    let x = upper.0 + (lower.0 - upper.0) * ((y - upper.1) / (lower.1 - upper.1));
                    crossings.push(Crossing { line, x, winding });
                }
            }
        }
        crossings
    }
}

/// A place where an outline crosses a sample line.
struct Crossing {
    line: i64,
    x: f64,
    winding: i32,
}

/// Adds one sample line's share of the pixels between two positions.
fn cover(covered: &mut [f64], from: f64, to: f64) {
    let (from, to) = (from.max(0.0), to.min(covered.len() as f64));
    if from >= to {
        return;
    }
    let (first, last) = (from as usize, (to.ceil() as usize).min(covered.len()));
    for (x, share) in covered[first..last].iter_mut().enumerate() {
        let x = (first + x) as f64;
        *share += (to.min(x + 1.0) - from.max(x)) / LINES as f64;
    }
}

/// Computes a sliding mean over every `step`-th pixel, with the ends repeated.
fn blur_line(pixels: &mut [Colour], step: usize, radius: usize) {
    let line: Vec<Colour> = pixels.iter().step_by(step).copied().collect();
    let last = line.len() - 1;
    let share = 1.0 / (2 * radius + 1) as f64;
    let mut sum = [0.0; 3];
    for k in 0..=2 * radius {
        let near = line[k.saturating_sub(radius).min(last)].0;
        sum = [sum[0] + near[0], sum[1] + near[1], sum[2] + near[2]];
    }
    for (i, pixel) in pixels.iter_mut().step_by(step).enumerate() {
        *pixel = Colour([sum[0] * share, sum[1] * share, sum[2] * share]);
        let (enters, leaves) = (line[(i + radius + 1).min(last)].0, line[i.saturating_sub(radius)].0);
        sum =
            [sum[0] + enters[0] - leaves[0], sum[1] + enters[1] - leaves[1], sum[2] + enters[2] - leaves[2]];
    }
}

fn to_byte(value: f64) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

/// Paints on a canvas in its own coordinates.
pub(super) struct Brush<'a> {
    canvas: &'a mut Canvas,
    at: Affine,
}

impl Brush<'_> {
    /// Fills a shape.
    pub(super) fn fill(&mut self, path: &Path, paint: &Paint) {
        self.canvas.fill(path, &self.at, paint);
    }

    /// Returns a brush for the same canvas in the coordinates that `place` maps into these.
    pub(super) fn placed(&mut self, place: Affine) -> Brush<'_> {
        Brush { canvas: &mut *self.canvas, at: self.at.of(place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::paint::rgb;

    fn white_on_black(path: &Path) -> Vec<u8> {
        let mut canvas = Canvas::new(4, 4);
        canvas.fill(path, &Affine::shift(0.0, 0.0), &Paint::flat(rgb(0xffffff)));
        canvas.to_grey()
    }

    #[test]
    fn coverage_is_the_area_inside() {
        let half = white_on_black(&Path::polygon(&[(0.0, 0.0), (1.5, 0.0), (1.5, 4.0), (0.0, 4.0)]));
        assert_eq!(half[..4], [255, 128, 0, 0]);
        let beyond = white_on_black(&Path::polygon(&[(-9.0, -9.0), (9.0, -9.0), (9.0, 9.0), (-9.0, 9.0)]));
        assert!(beyond.iter().all(|&v| v == 255));
    }

    #[test]
    fn overlapping_contours_make_no_hole() {
        let mut path = Path::polygon(&[(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)]);
        path.contours.extend(Path::polygon(&[(1.0, 1.0), (1.0, 3.0), (3.0, 3.0), (3.0, 1.0)]).contours);
        assert!(white_on_black(&path).iter().all(|&v| v == 255));
    }

    #[test]
    fn blur_keeps_what_is_even() {
        let mut canvas = Canvas::new(5, 3);
        canvas.repaint(|_, _, _| rgb(0x808080));
        canvas.blur(2);
        assert!(canvas.to_grey().iter().all(|&v| v == 128));
    }
}
