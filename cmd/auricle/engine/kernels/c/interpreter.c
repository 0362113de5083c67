#include "kernel.h"

// A small stack machine that runs a program of its own: a br_table for each
// step.
enum { PUSH, ADD, MUL, XOR, SHR, DUP, LOAD, STORE, DEC, JNZ, HALT };
static const int32_t program[] = {
	LOAD, 0, PUSH, 1664525, MUL, PUSH, 1013904223, ADD, DUP, STORE, 0, // x = next(x)
	PUSH, 7, SHR, LOAD, 1, XOR, PUSH, 16777619, MUL, STORE, 1,         // sum = mix(sum, x >> 7)
	DEC, 2, LOAD, 2, JNZ, 0,                                           // until the counter is 0
	HALT,
};
static uint32_t stack[16], var[4];

KERNEL(interpreter) {
	var[0] = 1;
	var[1] = SUM;
	var[2] = n;
	uint32_t *sp = stack;
	for (const int32_t *pc = program;;) {
		switch (*pc++) {
		case PUSH: *sp++ = *pc++; break;
		case ADD: sp--; sp[-1] += sp[0]; break;
		case MUL: sp--; sp[-1] *= sp[0]; break;
		case XOR: sp--; sp[-1] ^= sp[0]; break;
		case SHR: sp--; sp[-1] >>= sp[0] & 31; break;
		case DUP: sp[0] = sp[-1]; sp++; break;
		case LOAD: *sp++ = var[*pc++]; break;
		case STORE: var[*pc++] = *--sp; break;
		case DEC: var[*pc++]--; break;
		case JNZ: pc = *--sp ? program + *pc : pc + 1; break;
		case HALT: return var[1];
		}
	}
}
