// Time for a measured program: each look at a clock is 250 ns later than the one before, whatever the
// machine does. The runtime looks at the clock to see how quick handlers are and for how long it has
// worked; under valgrind, some 50 times slower, it would decide otherwise, and each time differently.
#include <time.h>

static long long looks;

int clock_gettime(clockid_t clock, struct timespec *now) {
  (void)clock;
  long long ns = 250 * ++looks;
  now->tv_sec = 1000000000 + ns / 1000000000;
  now->tv_nsec = ns % 1000000000;
  return 0;
}
