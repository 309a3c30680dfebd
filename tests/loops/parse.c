#include "types.h"

/* The sum of the decimal numbers of a text. */
u64 parse(const u8 *s, u64 n)
{
        u64 sum = 0, x = 0;
        for (u64 i = 0; i < n; i++) {
                u32 digit = s[i] - '0';
                if (digit < 10) {
                        x = 10 * x + digit;
                } else {
                        sum += x;
                        x = 0;
                }
        }
        return sum + x;
}
