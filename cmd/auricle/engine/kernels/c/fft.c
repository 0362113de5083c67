#include "kernel.h"

// n transforms of 1,024 complex floats, in place, radix 2.
enum { N = 1024 };
static float re[N], im[N], wr[N / 2], wi[N / 2];

// The roots of unity, by repeated halving of the angle and complex products:
// there is no sine here.
static void roots(void) {
	double c = -1, s = 0; // half a turn
	for (int half = N / 2; half > 1; half /= 2) {
		s = __builtin_sqrt((1 - c) / 2); // from the angle to its half
		c = __builtin_sqrt((1 + c) / 2);
	}
	double x = 1, y = 0;
	for (int i = 0; i < N / 2; i++) {
		wr[i] = (float)x;
		wi[i] = (float)-y;
		double t = x * c - y * s;
		y = x * s + y * c;
		x = t;
	}
}

static void transform(void) {
	for (uint32_t i = 1, j = 0; i < N; i++) {
		uint32_t bit = N / 2;
		for (; j & bit; bit /= 2) j ^= bit;
		j ^= bit;
		if (i < j) {
			float t = re[i];
			re[i] = re[j];
			re[j] = t;
			t = im[i];
			im[i] = im[j];
			im[j] = t;
		}
	}
	for (int size = 2; size <= N; size *= 2)
		for (int at = 0; at < N; at += size)
			for (int k = 0; k < size / 2; k++) {
				int p = at + k, q = p + size / 2, w = k * (N / size);
				float x = re[q] * wr[w] - im[q] * wi[w];
				float y = re[q] * wi[w] + im[q] * wr[w];
				re[q] = re[p] - x;
				im[q] = im[p] - y;
				re[p] += x;
				im[p] += y;
			}
}

KERNEL(fft) {
	uint32_t s = 1, sum = SUM;
	roots();
	for (uint32_t r = 0; r < n; r++) {
		for (int i = 0; i < N; i++) {
			re[i] = (float)(int32_t)next(&s) / 2147483648.0f;
			im[i] = 0;
		}
		transform();
		sum = mix(sum, bits(re[1 + r % 64]) ^ bits(im[1 + r % 64]));
	}
	return sum;
}
