/* The decoder of libopus as a module of the engine's: it takes one packet from
 * the host, decodes it to mono and gives the samples back. The decoder's state
 * is static, so that what an instance keeps between two calls is all there is
 * of it. */
#include <opus.h>

#define IMPORT(name) __attribute__((import_module("auricle_opus"), import_name(name)))

IMPORT("packet_read") void packet_read(unsigned char *to, int bytes);
IMPORT("pcm_write") void pcm_write(const opus_int16 *from, int bytes);

enum {
	MAX_PACKET = 65536, /* bytes; what the host lets through (opuspacket.go) */
	MAX_SAMPLES = 5760, /* 120 ms at 48 kHz */
	MAX_STATE = 20480,  /* bytes; opus_decoder_get_size(1) is checked against it */
};

static unsigned char packet[MAX_PACKET];
static opus_int16 pcm[MAX_SAMPLES];
static _Alignas(16) unsigned char state[MAX_STATE];
static int started;

/* decode gives the samples of a packet of so many bytes, mono at so many
 * samples a second, and returns how many, or one of libopus' errors (below 0).
 * The rate must be the same at each call. */
__attribute__((export_name("decode"))) int decode(int rate, int bytes)
{
	OpusDecoder *decoder = (OpusDecoder *)state;
	if (!started) {
		if (opus_decoder_get_size(1) > MAX_STATE)
			return OPUS_ALLOC_FAIL;
		int err = opus_decoder_init(decoder, rate, 1);
		if (err != OPUS_OK)
			return err;
		started = 1;
	}
	if (bytes < 1 || bytes > MAX_PACKET)
		return OPUS_BAD_ARG;
	packet_read(packet, bytes);
	int samples = opus_decode(decoder, packet, bytes, pcm, MAX_SAMPLES, 0);
	if (samples > 0)
		pcm_write(pcm, 2 * samples);
	return samples;
}
