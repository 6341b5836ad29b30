//! Not of zune-jpeg: separates the channels of an image. It is here because this crate may have `unsafe`, which
//! it takes to use instructions that not every processor has.

/// Writes the red, green and blue samples of `pixels` to planes of as many bytes. Returns `false`, having done
/// nothing, if this processor is not known to do it faster than general instructions.
#[must_use]
pub fn part_channels(pixels: &[[u8; 3]], planes: [&mut [u8]; 3]) -> bool {
    #[cfg(all(feature = "x86", feature = "std", target_arch = "x86_64"))]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, which is all that the function needs.
        unsafe { avx2(pixels, planes) };
        return true;
    }
    #[cfg(target_arch = "aarch64")]
    {
        // Every such processor has an instruction that loads three channels apart.
        part(pixels, planes);
        return true;
    }
    #[allow(unreachable_code)]
    {
        let _ = (pixels, planes);
        false
    }
}

/// The compiler makes a few shuffles of 32 bytes of it.
#[cfg(all(feature = "x86", feature = "std", target_arch = "x86_64"))]
#[target_feature(enable = "avx2")]
fn avx2(pixels: &[[u8; 3]], planes: [&mut [u8]; 3]) {
    part(pixels, planes);
}

#[cfg(any(all(feature = "x86", feature = "std", target_arch = "x86_64"), target_arch = "aarch64"))]
#[inline(always)]
fn part(pixels: &[[u8; 3]], [red, green, blue]: [&mut [u8]; 3]) {
    let length = pixels.len();
    let (red, green, blue) = (&mut red[..length], &mut green[..length], &mut blue[..length]);
    for at in 0..length {
        red[at] = pixels[at][0];
        green[at] = pixels[at][1];
        blue[at] = pixels[at][2];
    }
}
