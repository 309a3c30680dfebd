#include "types.h"

/* Unpacks n bytes of LZ4 into room for m: how many there are, or 0 if something is wrong. */
u64 lzdec(const u8 *s, u64 n, u8 *out, u64 m)
{
        const u8 *e = s + n;
        u8 *d = out, *de = out + m;
        while (s < e) {
                u32 t = *s++;
                u64 l = t >> 4;
                if (l == 15) {
                        u32 x;
                        do {
                                if (s >= e)
                                        return 0;
                                x = *s++;
                                l += x;
                        } while (x == 255);
                }
                if (l > (u64)(e - s) || l > (u64)(de - d))
                        return 0;
                for (u64 k = 0; k < l; k++)
                        d[k] = s[k];
                d += l;
                s += l;
                if (s == e)
                        break;
                if (e - s < 2)
                        return 0;
                u64 off = s[0] | s[1] << 8;
                s += 2;
                l = t & 15;
                if (l == 15) {
                        u32 x;
                        do {
                                if (s >= e)
                                        return 0;
                                x = *s++;
                                l += x;
                        } while (x == 255);
                }
                l += 4;
                if (off == 0 || off > (u64)(d - out) || l > (u64)(de - d))
                        return 0;
                const u8 *q = d - off;
                for (u64 k = 0; k < l; k++)
                        d[k] = q[k];
                d += l;
        }
        return d - out;
}
