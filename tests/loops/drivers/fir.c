#include "loops.h"

void fir(const int32_t *h, const int32_t *x, int64_t *y, u64 n);

static int32_t h[16], x[1015];
static int64_t y[1000];

int main(void)
{
        for (size_t i = 0; i < 16; i++)
                h[i] = next();
        for (size_t i = 0; i < 1015; i++)
                x[i] = next();
        fir(h, x, y, 1000);
        show(y, sizeof y);
        fir(h, x, y, 0);
        show(y, sizeof y);
        return 0;
}
