#include "types.h"

/* Sinks the element at i of a heap to its place. */
void sift(u64 *a, u64 n, u64 i)
{
        u64 x = a[i];
        for (;;) {
                u64 child = 2 * i + 1;
                if (child >= n)
                        break;
                if (child + 1 < n && a[child] < a[child + 1])
                        child++;
                if (a[child] <= x)
                        break;
                a[i] = a[child];
                i = child;
        }
        a[i] = x;
}
