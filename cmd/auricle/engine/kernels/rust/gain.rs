include!("kernel.rs");

use core::arch::wasm32::*;

/// n blocks of 4,096 floats: a gain, a mix with a second track, a limit and the
/// peak, four samples at a time.
#[no_mangle]
pub extern "C" fn gain(n: u32) -> u32 {
    let (mut s, mut sum) = (1, SUM);
    let mut fill = || (0..4096).map(|_| next(&mut s) as i32 as f32 / 2147483648.0).collect::<Vec<f32>>();
    let (voice, music) = (fill(), fill());
    let mut out = vec![0f32; 4096];
    for r in 0..n {
        let g = f32x4_splat(0.5 + (r % 16) as f32 / 8.0);
        let mut peak = f32x4_splat(0.0);
        for i in (0..4096).step_by(4) {
            // Safety: i+4 is within the three slices of 4,096.
            unsafe {
                let v = v128_load(voice.as_ptr().add(i) as *const v128);
                let m = v128_load(music.as_ptr().add(i) as *const v128);
                let y = f32x4_add(f32x4_mul(v, g), f32x4_mul(m, f32x4_splat(0.25)));
                let y = f32x4_pmax(f32x4_pmin(y, f32x4_splat(1.0)), f32x4_splat(-1.0));
                peak = f32x4_pmax(peak, f32x4_abs(y));
                v128_store(out.as_mut_ptr().add(i) as *mut v128, y);
            }
        }
        sum = mix(sum, out[r as usize % 4096].to_bits());
        sum = mix(sum, f32x4_extract_lane::<2>(peak).to_bits());
    }
    sum
}
