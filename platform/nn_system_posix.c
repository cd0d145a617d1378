/* nn_system_posix - clock, entropy and files of POSIX; Emscripten's, too. */
#include "nn_platform.h"

#if !defined(_WIN32)

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__) || defined(__EMSCRIPTEN__)
#include <sys/random.h>
#endif

#if defined(__EMSCRIPTEN__)
#define SYSTEM_HAS_DEVICES 0
#else
#define SYSTEM_HAS_DEVICES 1
#endif

static uint64_t system_clock_us(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) != 0) return 1;
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

uint64_t necpnet_time_us(void)
{
    return system_clock_us(CLOCK_MONOTONIC) + 1; /* never 0, even in the first microsecond after boot */
}

uint64_t necpnet_wall_time_us(void)
{
    return system_clock_us(CLOCK_REALTIME);
}

static bool system_read_all(int descriptor, uint8_t* to, size_t bytes)
{
    while (bytes > 0) {
        ssize_t got = read(descriptor, to, bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got;
        bytes -= (size_t)got;
    }
    return true;
}

static bool system_entropy_device(uint8_t* to, size_t bytes)
{
    int descriptor = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    bool filled = system_read_all(descriptor, to, bytes);
    close(descriptor);
    return filled;
}

NN_PRIVATE bool nn_platform_fill_entropy(void* to, size_t bytes)
{
    uint8_t* at = (uint8_t*)to;
#if defined(__linux__)
    while (bytes > 0) {
        ssize_t got = getrandom(at, bytes, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        at += got;
        bytes -= (size_t)got;
    }
#else
    while (bytes > 0) { /* at most 256 bytes a call; a browser answers from crypto.getRandomValues */
        size_t part = bytes < 256 ? bytes : 256;
        if (getentropy(at, part) != 0) break;
        at += part;
        bytes -= part;
    }
#endif
    return bytes == 0 || (SYSTEM_HAS_DEVICES && system_entropy_device(at, bytes));
}

NN_PRIVATE necpnet_result nn_platform_read_file(nn_alloc* alloc, const char* path, uint8_t** out, size_t* out_bytes)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return NECPNET_ERR_FILE;
    struct stat status;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 0 ||
        (uint64_t)status.st_size > NN_PLATFORM_FILE_BYTES_MAX) {
        close(descriptor);
        return NECPNET_ERR_FILE;
    }
    size_t bytes = (size_t)status.st_size;
    uint8_t* data = (uint8_t*)nn_alloc_take(alloc, bytes + 1);
    bool whole = data && system_read_all(descriptor, data, bytes);
    close(descriptor);
    if (!data) return NECPNET_ERR_OUT_OF_MEMORY;
    if (!whole) { /* it shrank meanwhile, or the disk failed */
        nn_wipe(data, bytes);
        nn_alloc_give(alloc, data, bytes + 1);
        return NECPNET_ERR_FILE;
    }
    *out = data;
    *out_bytes = bytes;
    return NECPNET_OK;
}

NN_PRIVATE const char* const* nn_platform_system_roots(void)
{
    static const char* const files[] = {
        "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch */
        "/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora, RHEL */
        "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* CentOS */
        "/etc/ssl/cert.pem",                                 /* Alpine, macOS, OpenBSD, FreeBSD */
        "/usr/local/share/certs/ca-root-nss.crt",            /* FreeBSD */
        NULL,
    };
    return files;
}

#endif
