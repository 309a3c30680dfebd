#include "types.h"

/* How many primes there are below n; marks is 1 where a number is composite. */
u64 sieve(u8 *marks, u64 n)
{
        u64 count = 0;
        for (u64 i = 0; i < n; i++)
                marks[i] = 0;
        for (u64 i = 2; i < n; i++) {
                if (!marks[i]) {
                        count++;
                        for (u64 j = i + i; j < n; j += i)
                                marks[j] = 1;
                }
        }
        return count;
}
