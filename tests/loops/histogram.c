#include "types.h"

void histogram(const u8 *s, u64 n, u64 *counts)
{
        for (u64 i = 0; i < n; i++)
                counts[s[i]]++;
}
