#include "types.h"

/* Sorts up to 1024 numbers by insertion into a list. */
struct node {
        struct node *next;
        u32 v;
};

static struct node nodes[1024];

u64 lists(u64 n)
{
        struct node *head = 0;
        u32 s = 1;
        for (u64 i = 0; i < n; i++) {
                s = s * 1103515245 + 12345;
                nodes[i & 1023].v = s >> 16;
        }
        for (u64 i = 0; i < n && i < 1024; i++) {
                struct node **p = &head;
                while (*p && (*p)->v < nodes[i].v)
                        p = &(*p)->next;
                nodes[i].next = *p;
                *p = &nodes[i];
        }
        u32 r = 0;
        for (struct node *q = head; q; q = q->next)
                r = r * 31 + q->v;
        return r;
}
