include!("kernel.rs");

/// n unstable sorts of 10,000 pairs, by the standard library.
#[no_mangle]
pub extern "C" fn sort_unstable(n: u32) -> u32 {
    let (mut s, mut sum) = (1, SUM);
    for _ in 0..n {
        let mut x: Vec<(u32, u32)> = (0..10_000).map(|i| (next(&mut s) >> 12, i)).collect();
        x.sort_unstable();
        for pair in x.windows(2) {
            if pair[0] > pair[1] {
                return 0;
            }
            sum = mix(sum, pair[1].1);
        }
    }
    sum
}
