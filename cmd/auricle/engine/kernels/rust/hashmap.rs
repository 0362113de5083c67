include!("kernel.rs");

use std::collections::hash_map::DefaultHasher;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// n insertions into and look-ups in the standard map, with the standard hash
/// (SipHash), 5,000 keys.
#[no_mangle]
pub extern "C" fn hashmap(n: u32) -> u32 {
    let mut m: HashMap<u32, u32, BuildHasherDefault<DefaultHasher>> = HashMap::default();
    let (mut s, mut sum) = (1, SUM);
    for i in 0..n {
        *m.entry((next(&mut s) >> 8) % 5000).or_insert(i) += 1;
        if let Some(v) = m.get(&((next(&mut s) >> 8) % 10_000)) {
            sum = mix(sum, *v);
        }
    }
    mix(sum, m.len() as u32)
}
