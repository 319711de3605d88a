#ifndef COUNT_H
#define COUNT_H

#include <stdio.h>

struct counts {
    unsigned long lines, words, bytes;
};

/* Counts until the end of the file; returns 0, or -1 on a read error. */
int count(FILE *in, struct counts *out);

#endif
