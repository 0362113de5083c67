#include "kernel.h"

enum { N = 20000 };
static uint32_t x[N];

// Recursion over unforeseeable branches; short runs by insertion.
static void sort(uint32_t *a, int n) {
	while (n > 12) {
		uint32_t p = a[n / 2];
		int i = 0, j = n - 1;
		for (;;) {
			while (a[i] < p) i++;
			while (p < a[j]) j--;
			if (i >= j) break;
			uint32_t t = a[i];
			a[i++] = a[j];
			a[j--] = t;
		}
		sort(a, i);
		a += i;
		n -= i;
	}
	for (int i = 1; i < n; i++) {
		uint32_t v = a[i];
		int j = i;
		for (; j > 0 && a[j - 1] > v; j--) a[j] = a[j - 1];
		a[j] = v;
	}
}

// n sorts of 20,000 words.
KERNEL(quicksort) {
	uint32_t s = 1, sum = SUM;
	for (uint32_t r = 0; r < n; r++) {
		for (int i = 0; i < N; i++) x[i] = next(&s);
		sort(x, N);
		for (int i = 1; i < N; i++) {
			if (x[i - 1] > x[i]) return 0;
			sum = mix(sum, x[i]);
		}
	}
	return sum;
}
