#include "types.h"

/* Packs n bytes as LZ4: how many bytes of lz there are, at most 2 * n + 1. */
u64 lzenc(const u8 *buf, u64 n, u8 *lz, u32 *h)
{
        u64 o = 0, a = 0, i = 0;
        for (u64 k = 0; k < 4096; k++)
                h[k] = 0;
        while (i + 12 < n) {
                u32 v, w;
                __builtin_memcpy(&v, buf + i, 4);
                u32 hash = (v * 2654435761u) >> 20;
                u64 p = h[hash];
                h[hash] = i + 1;
                if (p && i + 1 - p < 65536 && (__builtin_memcpy(&w, buf + p - 1, 4), w == v)) {
                        p--;
                        u64 m = 4;
                        while (i + m < n - 5 && buf[p + m] == buf[i + m])
                                m++;
                        u64 l = i - a, t = o++, ml = m - 4;
                        lz[t] = (l < 15 ? l : 15) << 4 | (ml < 15 ? ml : 15);
                        if (l >= 15) {
                                u64 r = l - 15;
                                for (; r >= 255; r -= 255)
                                        lz[o++] = 255;
                                lz[o++] = r;
                        }
                        for (u64 k = 0; k < l; k++)
                                lz[o++] = buf[a + k];
                        u64 d = i - p;
                        lz[o++] = d;
                        lz[o++] = d >> 8;
                        if (ml >= 15) {
                                u64 r = ml - 15;
                                for (; r >= 255; r -= 255)
                                        lz[o++] = 255;
                                lz[o++] = r;
                        }
                        i += m;
                        a = i;
                } else {
                        i++;
                }
        }
        u64 l = n - a;
        lz[o++] = (l < 15 ? l : 15) << 4;
        if (l >= 15) {
                u64 r = l - 15;
                for (; r >= 255; r -= 255)
                        lz[o++] = 255;
                lz[o++] = r;
        }
        for (u64 k = 0; k < l; k++)
                lz[o++] = buf[a + k];
        return o;
}
