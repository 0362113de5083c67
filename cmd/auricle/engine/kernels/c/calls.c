#include "kernel.h"

// Small leaf functions, and two that call each other (Hofstadter's female and
// male sequences): what a call costs.
static APART uint32_t rotate(uint32_t x, uint32_t by) { return x << (by & 31) | x >> (-by & 31); }
static APART uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }
static APART uint32_t apart(uint32_t a, uint32_t b) { return a > b ? a - b : b - a; }

static APART uint32_t male(uint32_t n);
static APART uint32_t female(uint32_t n) { return n ? n - male(female(n - 1)) : 1; }
static APART uint32_t male(uint32_t n) { return n ? n - female(male(n - 1)) : 0; }

KERNEL(calls) {
	uint32_t sum = SUM, s = 1;
	for (uint32_t r = 0; r < n; r++) {
		for (int i = 0; i < 1000; i++) {
			uint32_t x = next(&s);
			sum = rotate(sum, x) + larger(apart(x, sum), s);
		}
		sum = mix(sum, female(20 + r % 4) + male(20));
	}
	return sum;
}
