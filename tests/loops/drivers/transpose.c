#include "loops.h"

void transpose(const u64 *a, u64 *b);

static u64 a[4096], b[4096];

int main(void)
{
        for (size_t i = 0; i < 4096; i++)
                a[i] = next();
        transpose(a, b);
        show(b, sizeof b);
        return 0;
}
