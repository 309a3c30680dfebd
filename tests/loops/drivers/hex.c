#include "loops.h"

void hex(u8 *to, const u8 *s, u64 n);

static u8 text[20000], to[40000];

int main(void)
{
        for (size_t i = 0; i < sizeof text; i++)
                text[i] = next();
        hex(to, text, sizeof text);
        hex(to, text, 0);
        show(to, sizeof to);
        return 0;
}
