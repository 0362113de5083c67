#include "kernel.h"

enum { BYTES = 1 << 16 };
static uint8_t data[BYTES];
static uint32_t table[256];

// n times CRC-32 (IEEE) over 64 KiB, byte by byte through a table: one long
// chain of loads.
KERNEL(crc32) {
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
		table[i] = c;
	}
	uint32_t s = 1;
	for (int i = 0; i < BYTES; i++) data[i] = next(&s) >> 24;
	uint32_t c = ~0u;
	for (uint32_t r = 0; r < n; r++)
		for (int i = 0; i < BYTES; i++) c = table[(c ^ data[i]) & 255] ^ c >> 8;
	return ~c;
}
