#include "loops.h"

u64 lzenc(const u8 *buf, u64 n, u8 *lz, u32 *h);

static u8 buf[65536], lz[131073];
static u32 h[4096];

/* The text of the kernel `fill`. */
static void text(void)
{
        u32 s = 12345;
        for (size_t i = 0; i < sizeof buf; i++) {
                s = s * 1664525u + 1013904223u;
                buf[i] = (i & 7) < 5 ? buf[(s >> 20) & 1023] : s >> 24;
        }
        memset(buf + 20000, 'a', 5000);
}

int main(void)
{
        static const size_t lengths[] = { 65536, 0, 1, 12, 13, 30, 1000 };

        text();
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
                u64 packed = lzenc(buf, lengths[i], lz, h);
                number(packed);
                show(lz, packed);
        }
        memset(buf, 'b', sizeof buf);
        u64 packed = lzenc(buf, sizeof buf, lz, h);
        show(lz, packed);
        return 0;
}
