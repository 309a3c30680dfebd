#include "loops.h"

void reverse(u8 *s, u64 n);

static u8 text[65537];

int main(void)
{
        for (size_t i = 0; i < sizeof text; i++)
                text[i] = next();
        reverse(text, sizeof text);
        show(text, sizeof text);
        reverse(text, sizeof text - 1);
        show(text, sizeof text);
        reverse(text, 0);
        reverse(text, 1);
        show(text, sizeof text);
        return 0;
}
