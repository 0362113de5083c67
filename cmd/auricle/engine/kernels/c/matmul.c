#include "kernel.h"

enum { N = 128 };
static double a[N][N], b[N][N], c[N][N];

// n products of two matrices of doubles, in three plain loops.
KERNEL(matmul) {
	uint32_t s = 1, sum = SUM;
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			a[i][j] = (double)(next(&s) >> 16);
			b[i][j] = (double)(next(&s) >> 16);
		}
	for (uint32_t r = 0; r < n; r++) {
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++) {
				double t = 0;
				for (int k = 0; k < N; k++) t += a[i][k] * b[k][j];
				c[i][j] = t;
			}
		a[0][0] += 1;
		sum = mix(sum, (uint32_t)(uint64_t)c[r % N][N - 1]);
	}
	return sum;
}
