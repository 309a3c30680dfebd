#include "loops.h"

u64 lzdec(const u8 *s, u64 n, u8 *out, u64 m);

static u8 lz[131072], out[65536];

/* Sequences of up to 299 literals and copies of up to 280 bytes from anywhere before. */
static u64 packed(void)
{
        u64 o = 0, written = 0;
        for (;;) {
                u64 l = next() % 4 ? next() % 14 : next() % 300;
                u64 m = next() % 4 ? next() % 14 : next() % 277;
                if (written + l + m + 304 > sizeof out)
                        break;
                if (written == 0)
                        l = 20;
                u64 token = o++;
                lz[token] = (l < 15 ? l : 15) << 4 | (m < 15 ? m : 15);
                if (l >= 15) {
                        u64 r = l - 15;
                        for (; r >= 255; r -= 255)
                                lz[o++] = 255;
                        lz[o++] = r;
                }
                for (u64 k = 0; k < l; k++)
                        lz[o++] = next();
                written += l;
                u64 d = next() % (written < 60000 ? written : 60000) + 1;
                lz[o++] = d;
                lz[o++] = d >> 8;
                if (m >= 15) {
                        u64 r = m - 15;
                        for (; r >= 255; r -= 255)
                                lz[o++] = 255;
                        lz[o++] = r;
                }
                written += m + 4;
        }
        lz[o++] = 3 << 4;
        for (u64 k = 0; k < 3; k++)
                lz[o++] = next();
        return o;
}

int main(void)
{
        u64 n = packed();
        u64 m = lzdec(lz, n, out, sizeof out);
        number(n);
        number(m);
        show(out, m);
        number(lzdec(lz, 0, out, sizeof out));
        number(lzdec(lz, n, out, 1000));
        for (size_t i = 0; i < 20; i++) {
                lz[next() % n] = next();
                number(lzdec(lz, n, out, m));
        }
        return 0;
}
