#include "types.h"

/* A filter of 16 taps: y[i] is the sum of h[k] * x[i + k], of n outputs. */
void fir(const int32_t *h, const int32_t *x, int64_t *y, u64 n)
{
        for (u64 i = 0; i < n; i++) {
                int64_t sum = 0;
                for (u64 k = 0; k < 16; k++)
                        sum += (int64_t)h[k] * x[i + k];
                y[i] = sum;
        }
}
