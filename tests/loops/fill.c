#include "types.h"

/* A text that repeats itself, of n >= 1024 bytes. */
void fill(u8 *buf, u64 n)
{
        u32 s = 12345;
        for (u64 i = 0; i < n; i++) {
                s = s * 1664525u + 1013904223u;
                buf[i] = (i & 7) < 5 ? buf[(s >> 20) & 1023] : s >> 24;
        }
}
