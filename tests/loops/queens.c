#include "types.h"

/* How many ways there are to set the queens that remain. */
u64 queens(u64 all, u64 columns, u64 left, u64 right)
{
        if (columns == all)
                return 1;
        u64 n = 0;
        u64 free = all & ~(columns | left | right);
        while (free) {
                u64 b = free & -free;
                free ^= b;
                n += queens(all, columns | b, (left | b) << 1, (right | b) >> 1);
        }
        return n;
}
