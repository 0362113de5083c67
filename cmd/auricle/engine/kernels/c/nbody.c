#include "kernel.h"

// n steps of the sun and four planets, as the Computer Language Benchmarks
// Game has them: doubles, a square root and a division for each pair.
enum { BODIES = 5 };
static const double start[BODIES][7] = {
	{ 0, 0, 0, 0, 0, 0, 39.47841760435743 },
	{ 4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
	  6.06326392995832e-01, 2.81198684491626e+00, -2.52183616598876e-02, 3.76936749096080e-02 },
	{ 8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
	  -1.01077434617879e+00, 1.82566237123041e+00, 8.41576137658415e-03, 1.12863261319687e-02 },
	{ 1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
	  1.08279100644153e+00, 8.68713018169608e-01, -1.08326374013636e-02, 1.72372405705971e-03 },
	{ 1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
	  9.79090732243898e-01, 5.94698998647676e-01, -3.47559555040781e-02, 2.03368686992463e-03 },
};
static struct { double x[3], v[3], mass; } body[BODIES];

static void step(double dt) {
	for (int i = 0; i < BODIES; i++)
		for (int j = i + 1; j < BODIES; j++) {
			double d[3], square = 0;
			for (int k = 0; k < 3; k++) {
				d[k] = body[i].x[k] - body[j].x[k];
				square += d[k] * d[k];
			}
			double pull = dt / (square * __builtin_sqrt(square));
			for (int k = 0; k < 3; k++) {
				body[i].v[k] -= d[k] * body[j].mass * pull;
				body[j].v[k] += d[k] * body[i].mass * pull;
			}
		}
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++) body[i].x[k] += dt * body[i].v[k];
}

KERNEL(nbody) {
	for (int i = 0; i < BODIES; i++) {
		for (int k = 0; k < 3; k++) {
			body[i].x[k] = start[i][k];
			body[i].v[k] = start[i][k + 3];
		}
		body[i].mass = start[i][6];
	}
	for (uint32_t r = 0; r < n; r++) step(0.01);
	uint32_t sum = SUM;
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++) sum = mix(sum, (uint32_t)(int32_t)(body[i].x[k] * 1e6));
	return sum;
}
