#include "count.h"

#include <ctype.h>

int count(FILE *in, struct counts *out)
{
    struct counts c = {0, 0, 0};
    int byte, in_word = 0;

    while ((byte = getc(in)) != EOF) {
        c.bytes++;
        if (byte == '\n')
            c.lines++;
        if (isspace(byte)) {
            in_word = 0;
        } else if (!in_word) {
            in_word = 1;
            c.words++;
        }
    }
    *out = c;
    return ferror(in) ? -1 : 0;
}
