#include "kernel.h"
#include <wasm_simd128.h>

// n blocks of 160 samples through a bank of 16 band-pass filters, four at a
// time, as a voice detector has it.
enum { BLOCK = 160, VECTORS = 4 };
static float in[BLOCK];
static v128_t b0[VECTORS], b2[VECTORS], a1[VECTORS], a2[VECTORS], z1[VECTORS], z2[VECTORS], energy[VECTORS];

KERNEL(bank) {
	uint32_t s = 1;
	for (int v = 0; v < VECTORS; v++) {
		float g[4], p[4], q[4];
		for (int i = 0; i < 4; i++) {
			float f = (float)(4 * v + i + 1) / 40;
			g[i] = f / (1 + f);
			p[i] = -2 * (1 - f * f) / (1 + f);
			q[i] = (1 - f) / (1 + f);
		}
		b0[v] = wasm_v128_load(g);
		b2[v] = wasm_f32x4_neg(b0[v]);
		a1[v] = wasm_v128_load(p);
		a2[v] = wasm_v128_load(q);
		z1[v] = z2[v] = energy[v] = wasm_f32x4_const_splat(0);
	}
	for (uint32_t r = 0; r < n; r++) {
		for (int i = 0; i < BLOCK; i++) in[i] = (float)(int32_t)next(&s) / 2147483648.0f;
		for (int v = 0; v < VECTORS; v++)
			for (int i = 0; i < BLOCK; i++) {
				v128_t x = wasm_f32x4_splat(in[i]);
				v128_t y = wasm_f32x4_add(wasm_f32x4_mul(b0[v], x), z1[v]);
				z1[v] = wasm_f32x4_sub(z2[v], wasm_f32x4_mul(a1[v], y));
				z2[v] = wasm_f32x4_sub(wasm_f32x4_mul(b2[v], x), wasm_f32x4_mul(a2[v], y));
				energy[v] = wasm_f32x4_add(energy[v], wasm_f32x4_mul(y, y));
			}
	}
	uint32_t sum = SUM;
	for (int v = 0; v < VECTORS; v++) {
		sum = mix(sum, wasm_i32x4_extract_lane(energy[v], 0));
		sum = mix(sum, wasm_i32x4_extract_lane(energy[v], 3));
	}
	return sum;
}
