#include "types.h"

u64 crc(const u8 *s, u64 n, const u32 *table)
{
        u32 c = ~0u;
        for (u64 i = 0; i < n; i++)
                c = table[(u8)c ^ s[i]] ^ (c >> 8);
        return (u32)~c;
}
