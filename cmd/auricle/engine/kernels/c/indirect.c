#include "kernel.h"

// Calls through a table of functions, which nobody can foresee.
typedef uint32_t op(uint32_t acc, uint32_t x);
static APART uint32_t add(uint32_t a, uint32_t x) { return a + x; }
static APART uint32_t sub(uint32_t a, uint32_t x) { return a - x; }
static APART uint32_t xor(uint32_t a, uint32_t x) { return a ^ x; }
static APART uint32_t mul(uint32_t a, uint32_t x) { return a * (x | 1); }
static APART uint32_t rot(uint32_t a, uint32_t x) { return a << (x & 31) | a >> (-x & 31); }
static APART uint32_t not(uint32_t a, uint32_t x) { return ~a + x; }
static APART uint32_t swap(uint32_t a, uint32_t x) { return a << 16 ^ a >> 16 ^ x; }
static APART uint32_t half(uint32_t a, uint32_t x) { return (a >> 1) + x; }
static op *volatile ops[8] = { add, sub, xor, mul, rot, not, swap, half };

KERNEL(indirect) {
	uint32_t acc = SUM, s = 1;
	for (uint32_t r = 0; r < n; r++) {
		uint32_t x = next(&s);
		acc = ops[x >> 29](acc, x);
	}
	return acc;
}
