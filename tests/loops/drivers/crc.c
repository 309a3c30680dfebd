#include "loops.h"

u64 crc(const u8 *s, u64 n, const u32 *table);

static u8 text[65536];
static u32 table[256];

int main(void)
{
        crc_table(table);
        for (size_t i = 0; i < sizeof text; i++)
                text[i] = next();
        number(crc(text, sizeof text, table));
        number(crc(text, 0, table));
        return 0;
}
