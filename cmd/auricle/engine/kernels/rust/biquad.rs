include!("kernel.rs");

struct Biquad {
    b: [f32; 3],
    a: [f32; 2],
    z: [f32; 2],
}

impl Biquad {
    fn process(&mut self, x: f32) -> f32 {
        let y = self.b[0] * x + self.z[0];
        self.z[0] = self.b[1] * x - self.a[0] * y + self.z[1];
        self.z[1] = self.b[2] * x - self.a[1] * y;
        y
    }
}

/// n blocks of 1,600 samples (100 ms) of PCM through three biquads in series,
/// clipped and back to PCM.
#[no_mangle]
pub extern "C" fn biquad(n: u32) -> u32 {
    let mut chain: Vec<Biquad> = (1..=3)
        .map(|i| {
            let f = i as f32 / 8.0;
            let b = f / (1.0 + f);
            Biquad { b: [b, 0.0, -b], a: [-2.0 * (1.0 - f * f) / (1.0 + f), (1.0 - f) / (1.0 + f)], z: [0.0; 2] }
        })
        .collect();
    let (mut s, mut sum) = (1, SUM);
    let mut pcm = vec![0i16; 1600];
    for r in 0..n {
        for p in pcm.iter_mut() {
            *p = (next(&mut s) >> 16) as i16;
        }
        for p in pcm.iter_mut() {
            let mut x = *p as f32 / 32768.0;
            for f in chain.iter_mut() {
                x = f.process(x);
            }
            *p = (x.max(-1.0).min(1.0) * 32767.0) as i16;
        }
        sum = mix(sum, pcm[r as usize % 1600] as u16 as u32);
    }
    sum
}
