#include "loops.h"

void crc32_data(const u32 *t, const u8 *s);
u64 crc32(u64 n);

static u32 table[256];
static u8 text[65536];

int main(void)
{
        crc_table(table);
        for (size_t i = 0; i < sizeof text; i++)
                text[i] = next();
        crc32_data(table, text);
        number(crc32(sizeof text));
        number(crc32(0));
        return 0;
}
