#include "types.h"

/* c = a * b for matrices of 16 by 16. */
void product(const u64 *a, const u64 *b, u64 *c)
{
        for (u64 i = 0; i < 16; i++) {
                for (u64 j = 0; j < 16; j++) {
                        u64 sum = 0;
                        for (u64 k = 0; k < 16; k++)
                                sum += a[i * 16 + k] * b[k * 16 + j];
                        c[i * 16 + j] = sum;
                }
        }
}
