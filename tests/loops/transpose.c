#include "types.h"

/* A matrix of 64 by 64. */
void transpose(const u64 *a, u64 *b)
{
        for (u64 i = 0; i < 64; i++)
                for (u64 j = 0; j < 64; j++)
                        b[j * 64 + i] = a[i * 64 + j];
}
