#include "loops.h"

u64 indirect(u64 n);

int main(void)
{
        number(indirect(10000));
        number(indirect(0));
        return 0;
}
