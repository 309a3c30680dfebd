#include "types.h"

/* Calls by addresses that stand in memory. */
static u64 f1(u64 x)
{
        return (u32)(x * 3 + 1);
}

static u64 f2(u64 x)
{
        return x / 2;
}

static u64 f3(u64 x)
{
        return x ^ 0x55;
}

static u64 (*const functions[4])(u64) = { f1, f2, f3, f2 };

u64 indirect(u64 n)
{
        u32 s = n;
        for (u64 i = 0; i < n; i++)
                s += functions[(s ^ i) & 3](s);
        return s;
}
