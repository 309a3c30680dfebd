#include "loops.h"

u64 shuffle(u64 *a, u64 n, u64 x);

static u64 a[5000];

int main(void)
{
        for (size_t i = 0; i < 5000; i++)
                a[i] = i;
        number(shuffle(a, 5000, 88172645463325252u));
        number(shuffle(a, 0, 1));
        number(shuffle(a, 1, 1));
        show(a, sizeof a);
        return 0;
}
