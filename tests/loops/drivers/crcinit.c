#include "loops.h"

void crcinit(u32 *table);

static u32 table[256];

int main(void)
{
        crcinit(table);
        show(table, sizeof table);
        return 0;
}
