/* pages - the files of the demo page. */
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Below the directory of the program: of an installation, of the source tree (the program is in build/<preset>/bin, what the
 * browser gets in build/wasm/web), of a program with its files beside it. */
static const char* const pages_places[] = {
    "../share/necpnet/web",
    "../../wasm/web",
    "web",
};

static void pages_add(pages* found, const char* directory)
{
    char* real = realpath(directory, NULL);
    struct stat facts;
    if (real && found->count < PAGES_DIRECTORIES_MAX && stat(real, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        found->directories[found->count++] = real;
    } else {
        free(real);
    }
}

void pages_begin(pages* found, const char* configured)
{
    char program[PATH_MAX];
    char directory[PATH_MAX + 64];
    *found = (pages){0};
    if (configured[0]) {
        pages_add(found, configured);
        return;
    }
    ssize_t bytes = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (bytes <= 0) return;
    program[bytes] = 0;
    char* slash = strrchr(program, '/');
    if (slash) *slash = 0;
    for (size_t i = 0; i < sizeof(pages_places) / sizeof(pages_places[0]); i++) {
        snprintf(directory, sizeof(directory), "%s/%s", program, pages_places[i]);
        pages_add(found, directory);
    }
}

void pages_end(pages* found)
{
    for (int i = 0; i < found->count; i++) free(found->directories[i]);
    *found = (pages){0};
}

static const char* pages_type(const char* path)
{
    static const char* const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".wasm", "application/wasm"},
        {".json", "application/json; charset=utf-8"},
        {".map", "application/json; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".webmanifest", "application/manifest+json"},
        {".txt", "text/plain; charset=utf-8"},
        {".ts", "text/plain; charset=utf-8"},
    };
    const char* dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(dot, types[i][0]) == 0) return types[i][1];
    }
    return NULL; /* what has no known type is not given away */
}

static bool pages_is_plain(const char* path)
{
    if (path[0] != '/' || strlen(path) > 256) return false;
    for (const char* at = path; *at == '/';) {
        size_t bytes = strspn(++at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
        if (bytes == 0 || at[0] == '.' || (at[bytes] != '/' && at[bytes] != 0)) return false;
        at += bytes;
    }
    return true;
}

/* Opens a file that lies below the directory, also behind symbolic links. */
static int pages_open(const char* directory, const char* path)
{
    char name[PATH_MAX];
    int bytes = snprintf(name, sizeof(name), "%s%s", directory, path);
    if (bytes < 0 || (size_t)bytes >= sizeof(name)) return -1;
    char* real = realpath(name, NULL);
    size_t below = strlen(directory);
    int descriptor = -1;
    if (real && strncmp(real, directory, below) == 0 && real[below] == '/') {
        descriptor = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    }
    free(real);
    return descriptor;
}

static bool pages_take(int descriptor, text* out)
{
    char piece[16384];
    for (;;) {
        ssize_t got = read(descriptor, piece, sizeof(piece));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0 && !out->failed;
        text_put_bytes(out, piece, (size_t)got);
    }
}

pages_result pages_read(const pages* found, const char* path, const char* known_tag, text* out, char* out_tag,
                        const char** out_type)
{
    char page[512];
    if (strcmp(path, "/") == 0) path = "/index.html";
    if (!strchr(path, '.') && strlen(path) < 256) { /* a page by its name: /dashboard */
        snprintf(page, sizeof(page), "%s.html", path);
        path = page;
    }
    *out_type = pages_type(path);
    out_tag[0] = 0;
    if (!*out_type || !pages_is_plain(path)) return PAGES_MISSING;
    for (int i = 0; i < found->count; i++) {
        struct stat facts;
        int descriptor = pages_open(found->directories[i], path);
        if (descriptor < 0) continue;
        pages_result result = PAGES_MISSING;
        if (fstat(descriptor, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size < (off_t)PAGES_FILE_BYTES_MAX) {
            snprintf(out_tag, 48, "\"%llx-%llx\"",
                     (unsigned long long)facts.st_mtim.tv_sec * 1000000u +
                         (unsigned long long)facts.st_mtim.tv_nsec / 1000u,
                     (unsigned long long)facts.st_size);
            result = strcmp(out_tag, known_tag) == 0 ? PAGES_UNCHANGED
                     : pages_take(descriptor, out)   ? PAGES_FOUND
                                                     : PAGES_MISSING;
        }
        close(descriptor);
        if (result != PAGES_MISSING) return result;
    }
    return PAGES_MISSING;
}
