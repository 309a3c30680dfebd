#include "loops.h"

void matmul(const u64 *a, const u64 *b, u64 *c, u64 n);

static u64 a[1024], b[1024], c[1024];

int main(void)
{
        for (size_t i = 0; i < 1024; i++) {
                a[i] = i * 7 + 1;
                b[i] = i ^ 5;
        }
        matmul(a, b, c, 32);
        show(c, sizeof c);
        matmul(a, b, c, 0);
        matmul(b, a, c, 1);
        matmul(b, a, c, 5);
        show(c, sizeof c);
        return 0;
}
