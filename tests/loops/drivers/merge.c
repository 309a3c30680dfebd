#include "loops.h"

void merge(const u64 *a, u64 n, const u64 *b, u64 m, u64 *c);

static u64 a[3000], b[5000], c[8000];

int main(void)
{
        u64 x = 0, y = 0;
        for (size_t i = 0; i < 3000; i++)
                a[i] = x += next() % 50;
        for (size_t i = 0; i < 5000; i++)
                b[i] = y += next() % 30;
        merge(a, 3000, b, 5000, c);
        show(c, sizeof c);
        merge(b, 5000, a, 3000, c);
        show(c, sizeof c);
        merge(a, 0, b, 0, c);
        merge(a, 7, b, 0, c);
        merge(a, 0, b, 7, c);
        show(c, sizeof c);
        return 0;
}
