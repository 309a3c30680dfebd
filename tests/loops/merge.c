#include "types.h"

/* Merges sorted a[n] and b[m] into c. */
void merge(const u64 *a, u64 n, const u64 *b, u64 m, u64 *c)
{
        u64 i = 0, j = 0;
        while (i < n && j < m) {
                if (a[i] <= b[j])
                        *c++ = a[i++];
                else
                        *c++ = b[j++];
        }
        while (i < n)
                *c++ = a[i++];
        while (j < m)
                *c++ = b[j++];
}
