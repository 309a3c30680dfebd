/* What the drivers share: numbers that are the same on every run, digests of what was computed. */
#include "../types.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* A linear congruential generator, of which the upper half is used. */
static inline u32 next(void)
{
        static u64 x = 1;
        x = x * 6364136223846793005u + 1442695040888963407u;
        return x >> 32;
}

/* Prints a digest (FNV-1a) of some bytes. */
static inline void show(const void *p, size_t n)
{
        const u8 *s = p;
        u64 h = 0xcbf29ce484222325u;
        for (size_t i = 0; i < n; i++)
                h = (h ^ s[i]) * 0x100000001b3u;
        printf("%016llx\n", (unsigned long long)h);
}

static inline void number(u64 x)
{
        printf("%llu\n", (unsigned long long)x);
}

/* The table of the CRC-32 of Ethernet, by bytes. */
static inline void crc_table(u32 *table)
{
        for (u32 i = 0; i < 256; i++) {
                u32 c = i;
                for (int k = 0; k < 8; k++)
                        c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
                table[i] = c;
        }
}
