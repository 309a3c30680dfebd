#include "types.h"

/* Runs the ten instructions at program n times; x is counted down. */
u64 interp(const u8 *program, u64 x)
{
        u64 acc = 0, t;
        u64 pc = 0;
        for (;;) {
                switch (program[pc++]) {
                case 0:
                        acc += x;
                        break;
                case 1:
                        acc ^= x << 3;
                        break;
                case 2:
                        acc = acc * 31 + 7;
                        break;
                case 3:
                        t = acc;
                        acc = x ^ (t >> 5);
                        break;
                case 4:
                        acc = (acc << 13) | (acc >> 51);
                        break;
                case 5:
                        acc -= x * x;
                        break;
                case 6:
                        acc += __builtin_popcountll(acc);
                        break;
                default:
                        return acc;
                }
                if (pc == 10) {
                        pc = 0;
                        if (--x == 0)
                                return acc;
                }
        }
}
