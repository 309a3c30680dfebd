#include "types.h"

/* The checksum of the Internet protocols, of n words of 16 bits. */
u64 checksum(const uint16_t *a, u64 n)
{
        u64 sum = 0;
        for (u64 i = 0; i < n; i++)
                sum += a[i];
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return sum ^ 0xffff;
}
