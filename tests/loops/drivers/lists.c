#include "loops.h"

u64 lists(u64 n);

int main(void)
{
        number(lists(500));
        number(lists(0));
        number(lists(1));
        return 0;
}
