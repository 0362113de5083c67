#include "kernel.h"

// n blocks of 1,600 samples (100 ms) through a low-pass of 63 taps, float.
enum { BLOCK = 1600, TAPS = 63 };
static float tap[TAPS], in[BLOCK + TAPS - 1], out[BLOCK];

KERNEL(fir) {
	uint32_t s = 1, sum = SUM;
	for (int i = 0; i < TAPS; i++) {
		int d = i - TAPS / 2;
		tap[i] = (float)(TAPS / 2 + 1 - (d < 0 ? -d : d)) / (float)((TAPS / 2 + 1) * (TAPS / 2 + 1)); // a triangle
	}
	for (int i = 0; i < BLOCK + TAPS - 1; i++) in[i] = (float)(int32_t)next(&s) / 2147483648.0f;
	for (uint32_t r = 0; r < n; r++) {
		for (int i = 0; i < BLOCK; i++) {
			float y = 0;
			for (int k = 0; k < TAPS; k++) y += tap[k] * in[i + k];
			out[i] = y;
		}
		in[r % BLOCK] = out[BLOCK - 1];
		sum = mix(sum, bits(out[r % BLOCK]));
	}
	return sum;
}
