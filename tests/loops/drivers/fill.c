#include "loops.h"

void fill(u8 *buf, u64 n);

static u8 buf[65536];

int main(void)
{
        fill(buf, sizeof buf);
        show(buf, sizeof buf);
        return 0;
}
