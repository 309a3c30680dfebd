#include "loops.h"

void histogram(const u8 *s, u64 n, u64 *counts);

static u8 text[50000];
static u64 counts[256];

int main(void)
{
        for (size_t i = 0; i < sizeof text; i++)
                text[i] = next() & next();
        histogram(text, sizeof text, counts);
        histogram(text, 0, counts);
        show(counts, sizeof counts);
        return 0;
}
