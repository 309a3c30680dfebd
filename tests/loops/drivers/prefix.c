#include "loops.h"

void prefix(u64 *a, u64 n);

static u64 a[10000];

int main(void)
{
        for (size_t i = 0; i < 10000; i++)
                a[i] = next();
        prefix(a, 10000);
        show(a, sizeof a);
        prefix(a, 0);
        show(a, sizeof a);
        return 0;
}
