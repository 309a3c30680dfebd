#include "loops.h"

void product(const u64 *a, const u64 *b, u64 *c);

static u64 a[256], b[256], c[256];

int main(void)
{
        for (size_t i = 0; i < 256; i++) {
                a[i] = next();
                b[i] = next();
        }
        product(a, b, c);
        show(c, sizeof c);
        return 0;
}
