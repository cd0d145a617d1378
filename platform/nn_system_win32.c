/* nn_system_win32 - clock, entropy and files of Windows. */
#include "nn_platform.h"

#if defined(_WIN32)

#include <windows.h>
#include <bcrypt.h>

uint64_t necpnet_time_us(void)
{
    LARGE_INTEGER frequency, count;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    uint64_t hz = (uint64_t)frequency.QuadPart;
    uint64_t ticks = (uint64_t)count.QuadPart;
    return ticks / hz * 1000000u + ticks % hz * 1000000u / hz + 1;
}

uint64_t necpnet_wall_time_us(void)
{
    FILETIME time;
    GetSystemTimeAsFileTime(&time);
    uint64_t since_1601 = (uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime; /* in 100 ns */
    return since_1601 / 10u - UINT64_C(11644473600000000);
}

NN_PRIVATE bool nn_platform_fill_entropy(void* to, size_t bytes)
{
    uint8_t* at = (uint8_t*)to;
    while (bytes > 0) {
        ULONG part = bytes < 65536 ? (ULONG)bytes : 65536;
        if (BCryptGenRandom(NULL, at, part, BCRYPT_USE_SYSTEM_PREFERRED_RNG) != 0) return false;
        at += part;
        bytes -= part;
    }
    return true;
}

static HANDLE system_open(const char* path)
{
    WCHAR wide[MAX_PATH * 4];
    if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, (int)NN_COUNT(wide))) {
        return INVALID_HANDLE_VALUE;
    }
    return CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
}

NN_PRIVATE necpnet_result nn_platform_read_file(nn_alloc* alloc, const char* path, uint8_t** out, size_t* out_bytes)
{
    HANDLE file = system_open(path);
    if (file == INVALID_HANDLE_VALUE) return NECPNET_ERR_FILE;
    LARGE_INTEGER size;
    if (GetFileType(file) != FILE_TYPE_DISK || !GetFileSizeEx(file, &size) ||
        (uint64_t)size.QuadPart > NN_PLATFORM_FILE_BYTES_MAX) {
        CloseHandle(file);
        return NECPNET_ERR_FILE;
    }
    size_t bytes = (size_t)size.QuadPart;
    uint8_t* data = (uint8_t*)nn_alloc_take(alloc, bytes + 1);
    DWORD got = 0;
    bool whole = data && ReadFile(file, data, (DWORD)bytes, &got, NULL) && got == bytes;
    CloseHandle(file);
    if (!data) return NECPNET_ERR_OUT_OF_MEMORY;
    if (!whole) {
        nn_wipe(data, bytes);
        nn_alloc_give(alloc, data, bytes + 1);
        return NECPNET_ERR_FILE;
    }
    *out = data;
    *out_bytes = bytes;
    return NECPNET_OK;
}

/* Windows keeps its roots in a store, not in a file: an application names a ca_file. */
NN_PRIVATE const char* const* nn_platform_system_roots(void)
{
    static const char* const none[] = {NULL};
    return none;
}

#endif
