#include "types.h"

/* Fisher and Yates, with the numbers of xorshift64. */
u64 shuffle(u64 *a, u64 n, u64 x)
{
        for (u64 i = n; i > 1; i--) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                u64 j = x % i;
                u64 t = a[i - 1];
                a[i - 1] = a[j];
                a[j] = t;
        }
        return x;
}
