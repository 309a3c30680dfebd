#include "loops.h"

u64 interp(const u8 *program, u64 x);

int main(void)
{
        static const u8 program[10] = { 1, 2, 0, 3, 6, 1, 4, 5, 2, 0 };
        static const u8 stop[10] = { 1, 2, 0, 3, 6, 1, 4, 5, 2, 9 };

        number(interp(program, 10000));
        number(interp(program, 1));
        number(interp(stop, 7));
        return 0;
}
