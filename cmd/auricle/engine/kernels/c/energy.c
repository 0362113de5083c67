#include "kernel.h"

enum { SAMPLES = 16000 };
static int16_t pcm[SAMPLES];

// n times over a second of 16 kHz PCM: the energy of each frame of 20 ms, and
// how many frames are louder than the one before.
KERNEL(energy) {
	uint32_t s = 1, sum = SUM;
	for (int i = 0; i < SAMPLES; i++) pcm[i] = (int16_t)(next(&s) >> 16);
	for (uint32_t r = 0; r < n; r++) {
		int64_t before = 0;
		uint32_t louder = 0;
		for (int frame = 0; frame < SAMPLES; frame += 320) {
			int64_t e = 0;
			for (int i = frame; i < frame + 320; i++) {
				int v = pcm[i];
				if (v > 32000) v = 32000; // clipping
				e += v * v;
			}
			louder += e > before;
			before = e;
		}
		pcm[r % SAMPLES] ^= 1;
		sum = mix(sum, louder + (uint32_t)before);
	}
	return sum;
}
