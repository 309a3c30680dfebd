#include "types.h"

/* The bytes of s as 2 * n digits. */
void hex(u8 *to, const u8 *s, u64 n)
{
        static const u8 digits[16] = "0123456789abcdef";
        for (u64 i = 0; i < n; i++) {
                to[2 * i] = digits[s[i] >> 4];
                to[2 * i + 1] = digits[s[i] & 15];
        }
}
