#include "loops.h"

void sift(u64 *a, u64 n, u64 i);

static u64 a[1000];

/* Heap sort. */
int main(void)
{
        for (size_t i = 0; i < 1000; i++)
                a[i] = next();
        for (size_t i = 1000; i-- > 0;)
                sift(a, 1000, i);
        show(a, sizeof a);
        for (size_t n = 999; n > 0; n--) {
                u64 x = a[0];
                a[0] = a[n];
                a[n] = x;
                sift(a, n, 0);
        }
        show(a, sizeof a);
        return 0;
}
