#include "loops.h"

u64 sieve(u8 *marks, u64 n);

static u8 marks[65536];

int main(void)
{
        number(sieve(marks, sizeof marks));
        number(sieve(marks, 0));
        number(sieve(marks, 3));
        return 0;
}
