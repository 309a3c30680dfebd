#include "loops.h"

u64 zeroword(const u64 *a, u64 n);

static union {
        u64 words[5000];
        u8 bytes[40000];
} a;

int main(void)
{
        for (size_t i = 0; i < sizeof a; i++)
                a.bytes[i] = next() % 255 + 1;
        number(zeroword(a.words, 5000));
        number(zeroword(a.words, 0));
        a.bytes[39997] = 0;
        number(zeroword(a.words, 5000));
        a.bytes[3] = 0;
        number(zeroword(a.words, 5000));
        return 0;
}
