include!("kernel.rs");

use std::collections::BTreeMap;

const WORDS: [&str; 16] = [
    "the", "Budget", "is", "due", "before", "deadline", "we", "Should", "über", "talk", "about", "it", "naïve", "again",
    "next", "week",
];

/// n times: a text of 200 words split, put to lower case and counted in a
/// B-tree. Strings, allocation, UTF-8.
#[no_mangle]
pub extern "C" fn words(n: u32) -> u32 {
    let (mut s, mut sum) = (1, SUM);
    for _ in 0..n {
        let mut text = String::new();
        for _ in 0..200 {
            text.push_str(WORDS[(next(&mut s) >> 28) as usize]);
            text.push(' ');
        }
        let mut count: BTreeMap<String, u32> = BTreeMap::new();
        for w in text.split_whitespace() {
            *count.entry(w.to_lowercase()).or_insert(0) += 1;
        }
        for (w, c) in &count {
            sum = mix(sum, w.len() as u32 * 1000 + c);
        }
    }
    sum
}
