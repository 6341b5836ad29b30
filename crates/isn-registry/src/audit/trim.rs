//! [`trimmed`]: what is left of a picture without borders of one grey level, such as frames and the bars of a
//! letterbox.

use super::grid::Area;

/// The maximum difference from a border's level, in grey levels, since encoders blur the inner edge.
const TOLERANCE: u32 = 12;
/// How many pixels of a line may differ more: one of this number.
const STRAY: usize = 50;
/// The maximum part of a picture that is border on one side, in hundredths.
const MOST: u32 = 35;

fn level(pixel: &[u8]) -> u32 {
    (77 * u32::from(pixel[0]) + 150 * u32::from(pixel[1]) + 29 * u32::from(pixel[2])) >> 8
}

/// Returns the part of a picture of RGB8 pixels, row by row, within its borders: the lines at a side that
/// have the level of the outermost one, up to 35 of 100 lines. The part of a mirrored picture is the mirrored
/// part. `rgb` must have `width × height` pixels, and at least one.
pub fn trimmed(width: u32, height: u32, rgb: &[u8]) -> Area {
    let at = |x: u32, y: u32| level(&rgb[(y as usize * width as usize + x as usize) * 3..][..3]);
    let mut area = Area::whole(width, height);
    let row = |y: u32| (0..width).map(move |x| at(x, y));
    area.top = border(height, row);
    area.bottom = height - border(height, |y| row(height - 1 - y));
    let column = |x: u32| (area.top..area.bottom).map(move |y| at(x, y));
    let left = border(width, column);
    let right = width - border(width, |x| column(width - 1 - x));
    Area { left, right, ..area }
}

/// Returns how many of the first `length` lines are border.
fn border<L: Iterator<Item = u32>>(length: u32, line: impl Fn(u32) -> L) -> u32 {
    let mut first: Vec<u32> = line(0).collect();
    let middle = first.len() / 2;
    let level = *first.select_nth_unstable(middle).1;
    let may_stray = first.len() / STRAY;
    let is_border = |at: &u32| {
        let mut stray = line(*at).filter(|other| other.abs_diff(level) > TOLERANCE);
        stray.nth(may_stray).is_none()
    };
    (0..length * MOST / 100).take_while(is_border).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, of: impl Fn(u32, u32) -> u8) -> Vec<u8> {
        (0..height).flat_map(|y| (0..width).flat_map(|x| [of(x, y); 3]).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn borders_of_one_level_are_trimmed_and_nothing_else() {
        let inner = Area { left: 9, top: 20, right: 110, bottom: 95 };
        let is_inside =
            |x: u32, y: u32| (inner.left..inner.right).contains(&x) && (inner.top..inner.bottom).contains(&y);
        for (frame, noise) in [(0, 0), (255, 0), (128, 9)] {
            let of = |x: u32, y: u32| {
                let inside = ((x * 37 + y * 101) % 200) as u8;
                if is_inside(x, y) { inside } else { frame - (frame.min(noise) * ((x + y) % 2) as u8) }
            };
            assert_eq!(trimmed(120, 100, &picture(120, 100, of)), inner, "{frame} {noise}");
        }
        // Bars above and below alone.
        let of = |x: u32, y: u32| if (10..90).contains(&y) { ((x * 37 + y * 101) % 200) as u8 } else { 0 };
        let bars = Area { left: 0, top: 10, right: 120, bottom: 90 };
        assert_eq!(trimmed(120, 100, &picture(120, 100, of)), bars);
        let of = |x: u32, y: u32| ((x * 37 + y * 101) % 200) as u8;
        assert_eq!(trimmed(120, 100, &picture(120, 100, of)), Area::whole(120, 100));
    }

    #[test]
    fn of_a_blank_picture_the_middle_is_left() {
        let blank = picture(100, 100, |_, _| 7);
        assert_eq!(trimmed(100, 100, &blank), Area { left: 35, top: 35, right: 65, bottom: 65 });
        assert_eq!(trimmed(1, 1, &[3, 3, 3]), Area::whole(1, 1));
        assert_eq!(trimmed(2, 1, &[3, 3, 3, 200, 0, 0]), Area::whole(2, 1));
    }
}
