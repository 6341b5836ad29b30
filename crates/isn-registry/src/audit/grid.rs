//! [`Grid`]: a picture's luminance, averaged over a grid of 64 × 64 cells for any size and shape, in exact
//! integers.

/// The number of cells in each direction.
pub(crate) const SIDE: usize = 64;

/// The maximum side of a picture with a grid, in pixels. Sums over longer ones would not fit.
const MAX_LENGTH: u32 = 1 << 16;

/// The luminance of cells, row by row, each in 256ths of a grey level (0 to 65,280).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid(Vec<u16>);

/// A part of a picture: the pixels from `left` to before `right`, and from `top` to before `bottom`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// The first column.
    pub left: u32,
    /// The first row.
    pub top: u32,
    /// The column after the last.
    pub right: u32,
    /// The row after the last.
    pub bottom: u32,
}

impl Area {
    /// Returns all of a picture.
    pub fn whole(width: u32, height: u32) -> Area {
        Area { left: 0, top: 0, right: width, bottom: height }
    }
}

/// The part of a pixel's extent that is in one cell.
struct Span {
    pixel: usize,
    cell: usize,
    weight: u32,
}

/// Divides a row of `length` pixels over [`SIDE`] cells. The unit divides both evenly: a pixel is `SIDE`
/// units long, a cell `length`.
fn spans(length: u32) -> Vec<Span> {
    let (side, length) = (SIDE as u64, u64::from(length));
    let mut spans = Vec::new();
    for pixel in 0..length {
        let (mut at, end) = (pixel * side, (pixel + 1) * side);
        while at < end {
            let cell = at / length;
            let until = end.min((cell + 1) * length);
            spans.push(Span { pixel: pixel as usize, cell: cell as usize, weight: (until - at) as u32 });
            at = until;
        }
    }
    spans
}

impl Grid {
    /// Returns the grid of a picture of RGB8 pixels, row by row; `None` if it is empty or absurdly long. A
    /// cell is the mean over its area of (77 R + 150 G + 29 B) / 256, which is ITU-R BT.601 in 8-bit weights.
    /// The grid of a mirrored picture is the mirrored grid.
    pub fn of(width: u32, height: u32, rgb: &[u8]) -> Option<Grid> {
        Grid::within(width, height, rgb, Area::whole(width, height))
    }

    /// Returns the grid of a part of a picture, as [`Grid::of`] would of that part alone; `None` also if the
    /// part is empty or not within the picture.
    pub fn within(width: u32, height: u32, rgb: &[u8], area: Area) -> Option<Grid> {
        let is_whole = (width as usize * 3).checked_mul(height as usize) == Some(rgb.len());
        let is_within =
            area.left < area.right && area.right <= width && area.top < area.bottom && area.bottom <= height;
        if width.max(height) > MAX_LENGTH || !is_whole || !is_within {
            return None;
        }
        let (stride, start) = (width as usize * 3, area.left as usize * 3);
        let (width, height) = (area.right - area.left, area.bottom - area.top);
        let row_len = width as usize * 3;
        let across = spans(width);
        let mut cells = Vec::with_capacity(SIDE * SIDE);
        // Rows are summed channel by channel, which compilers make fast; the luminance is computed from the
        // sums.
        let mut sums = vec![0u32; row_len];
        let down = spans(height);
        for (at, span) in down.iter().enumerate() {
            let row = &rgb[(area.top as usize + span.pixel) * stride + start..][..row_len];
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += u32::from(value) * span.weight);
            if down.get(at + 1).is_none_or(|next| next.cell != span.cell) {
                let mut line = [0u64; SIDE];
                for part in &across {
                    let [red, green, blue] = [0, 1, 2].map(|c| u64::from(sums[part.pixel * 3 + c]));
                    line[part.cell] += (77 * red + 150 * green + 29 * blue) * u64::from(part.weight);
                }
                let area = u64::from(width) * u64::from(height);
                // This is at most 255 × 256.
                cells.extend(line.iter().map(|sum| (sum / area) as u16));
                sums.fill(0);
            }
        }
        Some(Grid(cells))
    }

    /// Returns the cells, row by row.
    pub fn cells(&self) -> &[u16] {
        &self.0
    }

    /// Returns the cells in whole grey levels, rounded half up.
    pub fn levels(&self) -> Vec<u8> {
        self.0.iter().map(|&cell| ((u32::from(cell) + 128) >> 8).min(255) as u8).collect()
    }

    /// Returns the standard deviation of the cells, in grey levels, which tells how much there is to see.
    pub fn deviation(&self) -> f64 {
        let n = self.0.len() as u64;
        let sum: u64 = self.0.iter().map(|&cell| u64::from(cell)).sum();
        let squares: u64 = self.0.iter().map(|&cell| u64::from(cell) * u64::from(cell)).sum();
        // n Σx² − (Σx)² is exact in u64: at most 2^12 × 2^44.
        ((n * squares - sum * sum) as f64).sqrt() / (n as f64 * 256.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(width: u32, height: u32, seed: u64) -> Vec<u8> {
        let mut bytes = vec![0; width as usize * height as usize * 3];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    fn mirrored(width: u32, rgb: &[u8]) -> Vec<u8> {
        let rows = rgb.chunks_exact(width as usize * 3);
        rows.flat_map(|row| row.chunks_exact(3).rev().flatten().copied().collect::<Vec<_>>()).collect()
    }

    #[test]
    fn a_cell_is_the_mean_of_its_area() {
        for (width, height) in [(1, 1), (64, 64), (7, 200), (213, 160), (65, 63), (1, 3000)] {
            let grid = Grid::of(width, height, &[200u8; 3].repeat((width * height) as usize)).unwrap();
            assert!(grid.cells().iter().all(|&cell| cell == 200 * 256), "{width}x{height}");
            assert_eq!(grid.deviation(), 0.0);
        }
        let one = noise(64, 64, 1);
        let grid = Grid::of(64, 64, &one).unwrap();
        let luminance = |p: &[u8]| 77 * u16::from(p[0]) + 150 * u16::from(p[1]) + 29 * u16::from(p[2]);
        assert_eq!(grid.cells(), one.chunks(3).map(luminance).collect::<Vec<_>>());
        // Computed with floats, cell by cell.
        let (width, height) = (97u32, 150u32);
        let rgb = noise(width, height, 2);
        let grid = Grid::of(width, height, &rgb).unwrap();
        for (row, column) in [(0, 0), (3, 60), (63, 63), (31, 32)] {
            let (mut sum, mut area) = (0.0, 0.0);
            let overlap = |cell: usize, pixel: u32, length: u32| {
                let (from, to) =
                    (cell as f64 * f64::from(length) / 64.0, (cell + 1) as f64 * f64::from(length) / 64.0);
                (to.min(f64::from(pixel) + 1.0) - from.max(f64::from(pixel))).max(0.0)
            };
            for y in 0..height {
                for x in 0..width {
                    let weight = overlap(row, y, height) * overlap(column, x, width);
                    let pixel = &rgb[((y * width + x) * 3) as usize..][..3];
                    sum += weight * f64::from(luminance(pixel));
                    area += weight;
                }
            }
            let cell = f64::from(grid.cells()[row * SIDE + column]);
            assert!((sum / area - cell).abs() <= 1.0, "{row},{column}: {} {cell}", sum / area);
        }
    }

    #[test]
    fn a_mirrored_picture_has_the_mirrored_grid() {
        for (width, height) in [(160, 213), (50, 41), (64, 64), (333, 20)] {
            let rgb = noise(width, height, 3);
            let (grid, other) = (
                Grid::of(width, height, &rgb).unwrap(),
                Grid::of(width, height, &mirrored(width, &rgb)).unwrap(),
            );
            for (row, turned) in grid.cells().chunks(SIDE).zip(other.cells().chunks(SIDE)) {
                assert!(row.iter().eq(turned.iter().rev()), "{width}x{height}");
            }
        }
    }

    #[test]
    fn what_has_no_pixels_has_no_grid() {
        assert_eq!(Grid::of(0, 5, &[]), None);
        assert_eq!(Grid::of(2, 2, &[0; 11]), None);
    }
}
