#include "kernel.h"

// A loop of n turns, or for ever when n is 0. Not a kernel: what deadlines and
// stalls are measured with.
KERNEL(spin) {
	uint32_t x = 1;
	for (uint32_t i = 0; !n || i < n; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
	}
	return x;
}
