#include "loops.h"

u64 fannkuch(u64 n);

int main(void)
{
        number(fannkuch(7));
        number(fannkuch(1));
        number(fannkuch(2));
        return 0;
}
