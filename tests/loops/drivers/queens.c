#include "loops.h"

u64 queens(u64 all, u64 columns, u64 left, u64 right);

int main(void)
{
        number(queens(255, 0, 0, 0));
        return 0;
}
