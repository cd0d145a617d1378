/* pages.h - the files of the demo page: where they are, and which may be given away. */
#ifndef SERVER_PAGES_H
#define SERVER_PAGES_H

#include "text.h"

#define PAGES_DIRECTORIES_MAX 6
#define PAGES_FILE_BYTES_MAX TEXT_GROWN_BYTES_MAX

typedef struct pages {
    char* directories[PAGES_DIRECTORIES_MAX]; /* a file is taken from the first that has it */
    int count;
} pages;

/* pages_begin - the configured directory, or those beside the program: of the source tree, or of the installation.
 *
 *   configured  "": look for them. */
void pages_begin(pages* found, const char* configured);
void pages_end(pages* found);

typedef enum pages_result {
    PAGES_FOUND = 0,
    PAGES_MISSING = 1,
    PAGES_UNCHANGED = 2 /* the client has it: known_tag is its tag */
} pages_result;

/* pages_read - a file by its path below a directory; "/" is index.html. Names with anything but letters, digits, '-', '_', '.'
 * between slashes, and names that begin with a dot, are missing.
 *
 *   known_tag  of If-None-Match, "" if none.
 *   out_tag    at least 48 bytes.
 *   out_type   its media type; static.
 */
pages_result pages_read(const pages* found, const char* path, const char* known_tag, text* out, char* out_tag,
                        const char** out_type);

#endif
