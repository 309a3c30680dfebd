#include "loops.h"

u64 checksum(const uint16_t *a, u64 n);

static uint16_t a[30000];

int main(void)
{
        for (size_t i = 0; i < 30000; i++)
                a[i] = next();
        number(checksum(a, 30000));
        number(checksum(a, 29999));
        number(checksum(a, 0));
        return 0;
}
