/* fuzz_replay.c - the main of a fuzzer where there is no libFuzzer: feeds it every file of the folders and files named
 * on the command line, so that a corpus is a regression test under any compiler.
 *
 *   build/dev/tests/fuzz_frame tests/corpus/frame
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static int replay_file(const char* path)
{
    FILE* file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s: cannot open\n", path);
        return 0;
    }
    size_t capacity = 1 << 16;
    size_t bytes = 0;
    uint8_t* data = malloc(capacity);
    while (data) {
        bytes += fread(data + bytes, 1, capacity - bytes, file);
        if (bytes < capacity) {
            break;
        }
        capacity *= 2;
        uint8_t* bigger = realloc(data, capacity);
        if (!bigger) {
            free(data);
        }
        data = bigger;
    }
    fclose(file);
    if (!data) {
        fprintf(stderr, "%s: out of memory\n", path);
        return 0;
    }
    /* A copy of the exact size, so that a sanitizer sees the first byte read beyond it. */
    uint8_t* exact = malloc(bytes ? bytes : 1);
    if (exact) {
        memcpy(exact, data, bytes);
        fprintf(stderr, "%s\n", path); /* the last line printed names the input that crashed */
        (void)LLVMFuzzerTestOneInput(exact, bytes);
    }
    free(exact);
    free(data);
    return exact != NULL;
}

int main(int argc, char** argv)
{
    int passed = 0;
    int failed = 0;
    uint8_t none = 0;
    (void)LLVMFuzzerTestOneInput(&none, 0);
    passed++;
    for (int i = 1; i < argc; i++) {
        DIR* folder = opendir(argv[i]);
        if (!folder) {
            struct stat info;
            if (stat(argv[i], &info) != 0) {
                fprintf(stderr, "%s: no corpus here; only the empty input ran\n", argv[i]);
            } else if (replay_file(argv[i])) {
                passed++;
            } else {
                failed++;
            }
            continue;
        }
        struct dirent* entry;
        while ((entry = readdir(folder)) != NULL) {
            char path[4096];
            if (entry->d_name[0] == '.') {
                continue;
            }
            int length = snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (length > 0 && (size_t)length < sizeof path && replay_file(path)) {
                passed++;
            } else {
                failed++;
            }
        }
        closedir(folder);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
