#include "count.h"

#include <errno.h>
#include <string.h>

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct counts c;
        FILE *in = fopen(argv[i], "rb");
        if (!in || count(in, &c) != 0) {
            fprintf(stderr, "wordcount: %s: %s\n", argv[i], strerror(errno));
            return 1;
        }
        fclose(in);
        printf("%7lu %7lu %7lu %s\n", c.lines, c.words, c.bytes, argv[i]);
    }
    return 0;
}
