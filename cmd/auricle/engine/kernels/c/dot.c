#include "kernel.h"
#include <wasm_simd128.h>

enum { N = 4096 };
static int16_t a[N], b[N];

// n dot products of 4,096 samples of int16, eight at a time: the inner loop of
// a correlation.
KERNEL(dot) {
	uint32_t s = 1, sum = SUM;
	for (int i = 0; i < N; i++) {
		a[i] = (int16_t)(next(&s) >> 18);
		b[i] = (int16_t)(next(&s) >> 18);
	}
	for (uint32_t r = 0; r < n; r++) {
		v128_t t = wasm_i32x4_const_splat(0);
		for (int i = 0; i < N; i += 8)
			t = wasm_i32x4_add(t, wasm_i32x4_dot_i16x8(wasm_v128_load(a + i), wasm_v128_load(b + i)));
		a[r % N] ^= 1;
		sum = mix(sum, wasm_i32x4_extract_lane(t, 0) + wasm_i32x4_extract_lane(t, 1) +
		               wasm_i32x4_extract_lane(t, 2) + wasm_i32x4_extract_lane(t, 3));
	}
	return sum;
}
