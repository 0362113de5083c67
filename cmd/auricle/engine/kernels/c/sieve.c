#include "kernel.h"

enum { LIMIT = 1 << 20 };
static uint8_t composite[LIMIT];

// n times the sieve of Eratosthenes: single stores, ever further apart.
KERNEL(sieve) {
	uint32_t primes = 0;
	for (uint32_t r = 0; r < n; r++) {
		__builtin_memset(composite, 0, LIMIT);
		primes = 0;
		for (uint32_t i = 2; i < LIMIT; i++) {
			if (composite[i]) continue;
			primes++;
			for (uint32_t j = 2 * i; j < LIMIT; j += i) composite[j] = 1;
		}
	}
	return primes;
}
