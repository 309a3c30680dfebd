#include "types.h"

void prefix(u64 *a, u64 n)
{
        u64 sum = 0;
        for (u64 i = 0; i < n; i++)
                a[i] = sum += a[i];
}
