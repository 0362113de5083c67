// What every kernel in Rust needs; each includes it.

pub const SUM: u32 = 2166136261; // what a checksum starts from

/// The generator that all kernels take their input from (Numerical Recipes' ranqd1).
#[inline]
pub fn next(state: &mut u32) -> u32 {
    *state = state.wrapping_mul(1664525).wrapping_add(1013904223);
    *state
}

/// Folds a word into a checksum (FNV-1a, by words).
#[inline]
pub fn mix(sum: u32, word: u32) -> u32 {
    (sum ^ word).wrapping_mul(16777619)
}
