#include "types.h"

void reverse(u8 *s, u64 n)
{
        for (u64 i = 0; i < n / 2; i++) {
                u8 t = s[i];
                s[i] = s[n - 1 - i];
                s[n - 1 - i] = t;
        }
}
