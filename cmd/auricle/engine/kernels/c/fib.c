#include "kernel.h"

// Recursion with hardly any work in each call.
KERNEL(fib) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
