#include "types.h"

/* Over all permutations of n <= 12 numbers, turns the first k round, k being the first, until it is
   0: the largest number of turns, and above 16 bits a sum of all with changing signs. */
u64 fannkuch(u64 n)
{
        u32 first[12], perm[12], count[12];
        u64 r = n, most = 0, odd = 0, sum = 0;
        for (u64 i = 0; i < n; i++)
                first[i] = i;
        for (;;) {
                for (; r > 1; r--)
                        count[r - 1] = r;
                for (u64 i = 0; i < n; i++)
                        perm[i] = first[i];
                u64 flips = 0;
                for (u64 k; (k = perm[0]) != 0; flips++) {
                        for (u64 i = 0, j = k; i < j; i++, j--) {
                                u32 t = perm[i];
                                perm[i] = perm[j];
                                perm[j] = t;
                        }
                }
                if (flips > most)
                        most = flips;
                sum += odd ? -flips : flips;
                odd ^= 1;
                for (;;) {
                        if (r >= n)
                                return sum << 16 | most;
                        u32 t = first[0];
                        for (u64 i = 0; i < r; i++)
                                first[i] = first[i + 1];
                        first[r] = t;
                        if (--count[r] > 0)
                                break;
                        r++;
                }
        }
}
