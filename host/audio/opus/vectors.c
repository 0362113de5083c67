/* Makes the test vectors in ../testdata/opus with libopus itself: packets, and
 * what its decoder makes of them. Usage: vectors speech.wav directory
 * speech.wav is 16-bit mono at 16 kHz. */
#include <math.h>
#include <opus/opus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SET_FORCE_MODE 11002 /* OPUS_SET_FORCE_MODE of opus_private.h */
enum { SILK = 1000, HYBRID, CELT, MIXED, AUTO };

static const struct vector {
	const char *name;
	int mode, bandwidth, bitrate;
	int from, channels, tenths; /* what is encoded: its rate, and ms/10 of a packet */
	int to;                     /* what is decoded to, mono */
	int packets;
	int dtx;
} vectors[] = {
	{"silk_wb_20ms", SILK, OPUS_BANDWIDTH_WIDEBAND, 24000, 16000, 1, 200, 16000, 30, 0},
	{"silk_nb_60ms", SILK, OPUS_BANDWIDTH_NARROWBAND, 12000, 16000, 1, 600, 8000, 12, 0},
	{"silk_wb_stereo", SILK, OPUS_BANDWIDTH_WIDEBAND, 40000, 48000, 2, 200, 24000, 20, 0},
	{"silk_dtx", AUTO, OPUS_BANDWIDTH_WIDEBAND, 16000, 16000, 1, 200, 16000, 60, 1},
	{"hybrid_fb_20ms", HYBRID, OPUS_BANDWIDTH_FULLBAND, 48000, 48000, 1, 200, 48000, 20, 0},
	{"hybrid_swb_10ms", HYBRID, OPUS_BANDWIDTH_SUPERWIDEBAND, 48000, 48000, 1, 100, 16000, 40, 0},
	{"celt_wb_10ms", CELT, OPUS_BANDWIDTH_WIDEBAND, 32000, 16000, 1, 100, 16000, 50, 0},
	{"celt_fb_stereo", CELT, OPUS_BANDWIDTH_FULLBAND, 96000, 48000, 2, 200, 48000, 20, 0},
	{"celt_fb_2.5ms", CELT, OPUS_BANDWIDTH_FULLBAND, 96000, 48000, 1, 25, 12000, 100, 0},
	{"mixed", MIXED, OPUS_BANDWIDTH_FULLBAND, 40000, 48000, 1, 200, 16000, 42, 0},
};

enum { LEAD = 16000 * 4, SPEECH = 16000 * 2 }; /* where in the recording, and how much */

static short speech[SPEECH], wide[3 * SPEECH * 2];

static unsigned seed = 1;
static double noise(void) { return (double)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 23) - 1; }

/* 48 kHz stereo: the speech, with a tone that rises to 18 kHz, noise and
 * clicks on top, which the two channels do not have alike. */
static void widen(void)
{
	double phase = 0;
	for (int i = 0; i < 3 * SPEECH; i++) {
		int at = i / 3 < SPEECH - 1 ? i / 3 : SPEECH - 2;
		double s = 0.6 * (speech[at] + (speech[at + 1] - speech[at]) * (i % 3) / 3.0);
		phase += 2 * M_PI * 100 * pow(180, (i % 24000) / 24000.0) / 48000;
		double m = 3000 * sin(phase) + 500 * noise() + (i % 6000 < 300 ? 8000 * noise() : 0);
		double l = s + m, r = s - 0.6 * m;
		wide[2 * i] = fmax(-32768, fmin(32767, l));
		wide[2 * i + 1] = fmax(-32768, fmin(32767, r));
	}
}

static void die(const char *what) { fprintf(stderr, "vectors: %s\n", what); exit(1); }

static FILE *create(const char *dir, const char *name, const char *ext)
{
	char path[1000];
	snprintf(path, sizeof path, "%s/%s.%s", dir, name, ext);
	FILE *f = fopen(path, "wb");
	if (!f)
		die(path);
	return f;
}

int main(int argc, char **argv)
{
	FILE *f = argc == 3 ? fopen(argv[1], "rb") : 0;
	if (!f || fseek(f, 44 + 2 * LEAD, SEEK_SET) || fread(speech, 2, SPEECH, f) != SPEECH)
		die("usage: vectors speech.wav directory");
	widen();
	for (unsigned v = 0; v < sizeof vectors / sizeof *vectors; v++) {
		struct vector t = vectors[v];
		int err, size = t.from * t.tenths / 10000;
		OpusEncoder *e = opus_encoder_create(t.from, t.channels, OPUS_APPLICATION_VOIP, &err);
		OpusDecoder *d = opus_decoder_create(t.to, 1, &err);
		opus_encoder_ctl(e, OPUS_SET_BITRATE(t.bitrate));
		opus_encoder_ctl(e, OPUS_SET_DTX(t.dtx));
		if (t.mode < MIXED)
			opus_encoder_ctl(e, SET_FORCE_MODE, t.mode);
		if (t.mode != AUTO)
			opus_encoder_ctl(e, OPUS_SET_BANDWIDTH(t.bandwidth));
		FILE *packets = create(argv[2], t.name, "packets"), *pcm = create(argv[2], t.name, "pcm");
		for (int n = 0; n < t.packets; n++) {
			short in[2 * 2880], out[5760];
			unsigned char packet[1500];
			for (int i = 0; i < size; i++) {
				int at = n * size + i;
				if (t.from == 16000)
					in[i] = t.dtx && n > 10 && n < 50 ? 0 : speech[at % SPEECH];
				else if (t.channels == 1)
					in[i] = (wide[2 * at] + wide[2 * at + 1]) / 2;
				else
					memcpy(in + 2 * i, wide + 2 * at, 4);
			}
			if (t.mode == MIXED) {
				int mode = SILK + n / 7 % 3;
				opus_encoder_ctl(e, SET_FORCE_MODE, mode);
				opus_encoder_ctl(e, OPUS_SET_BANDWIDTH(mode == SILK ? OPUS_BANDWIDTH_WIDEBAND : OPUS_BANDWIDTH_FULLBAND));
			}
			int bytes = opus_encode(e, in, size, packet, sizeof packet);
			int samples = opus_decode(d, packet, bytes, out, 5760, 0);
			if (bytes < 1 || samples < 1)
				die(t.name);
			fputc(bytes & 255, packets);
			fputc(bytes >> 8, packets);
			fwrite(packet, 1, bytes, packets);
			fwrite(out, 2, samples, pcm);
		}
		fclose(packets);
		fclose(pcm);
	}
	return 0;
}
