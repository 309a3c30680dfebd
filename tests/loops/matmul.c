#include "types.h"

/* c = a * b for matrices of n by n. */
void matmul(const u64 *a, const u64 *b, u64 *c, u64 n)
{
        for (u64 i = 0; i < n; i++) {
                for (u64 j = 0; j < n; j++) {
                        u64 sum = 0;
                        for (u64 k = 0; k < n; k++)
                                sum += a[i * n + k] * b[k * n + j];
                        c[i * n + j] = sum;
                }
        }
}
