// What every kernel in C needs. There is no C library: a module is its kernel
// alone.
#include <stdint.h>

#define KERNEL(name) __attribute__((export_name(#name))) uint32_t name(uint32_t n)
#define APART __attribute__((noinline)) // a call is to be a call

// next is the generator that all kernels take their input from (Numerical
// Recipes' ranqd1).
static inline uint32_t next(uint32_t *state) { return *state = *state * 1664525u + 1013904223u; }

// mix folds a word into a checksum (FNV-1a, by words).
static inline uint32_t mix(uint32_t sum, uint32_t word) { return (sum ^ word) * 16777619u; }

#define SUM 2166136261u // what a checksum starts from

static inline uint32_t bits(float x) {
	union { float f; uint32_t u; } b = { .f = x };
	return b.u;
}
