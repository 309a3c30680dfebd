#include "types.h"

/* The number of the first zero byte of n words, eight bytes at a time; 8 * n if there is none. */
u64 zeroword(const u64 *a, u64 n)
{
        for (u64 i = 0; i < n; i++) {
                u64 x = a[i];
                u64 zero = (x - 0x0101010101010101) & ~x & 0x8080808080808080;
                if (zero)
                        return 8 * i + __builtin_ctzll(zero) / 8;
        }
        return 8 * n;
}
