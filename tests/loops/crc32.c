#include "types.h"

static u32 table[256];
static u8 buf[65536];

void crc32_data(const u32 *t, const u8 *s)
{
        for (u64 i = 0; i < 256; i++)
                table[i] = t[i];
        for (u64 i = 0; i < sizeof buf; i++)
                buf[i] = s[i];
}

/* CRC-32 of the first n bytes of static memory. */
u64 crc32(u64 n)
{
        u32 c = ~0u;
        for (u64 i = 0; i < n; i++)
                c = table[(c ^ buf[i]) & 255] ^ (c >> 8);
        return (u32)~c;
}
