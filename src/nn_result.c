/* nn_result - results as names and sentences, and what this build can do. */
#include "nn_base.h"

const char* necpnet_result_name(necpnet_result result)
{
    switch (result) {
#define RESULT_NAME(name, value, text) \
    case NECPNET_##name: return #name;
        NECPNET_RESULTS(RESULT_NAME)
#undef RESULT_NAME
    }
    return "ERR_UNKNOWN";
}

const char* necpnet_result_text(necpnet_result result)
{
    switch (result) {
#define RESULT_TEXT(name, value, text) \
    case NECPNET_##name: return text;
        NECPNET_RESULTS(RESULT_TEXT)
#undef RESULT_TEXT
    }
    return "a result that this version does not know";
}

const char* necpnet_drop_name(necpnet_drop drop)
{
    static const char* const names[] = {
#define RESULT_DROP(name, text) #name,
        NECPNET_DROPS(RESULT_DROP)
#undef RESULT_DROP
    };
    return (int)drop >= 0 && (size_t)drop < NN_COUNT(names) ? names[drop] : "";
}

const char* necpnet_version(void)
{
    return NECPNET_VERSION_TEXT
#if NECPNET_WITH_MBEDTLS
        " mbedtls"
#endif
#if NECPNET_WITH_SODIUM
        " sodium"
#endif
#if NECPNET_WITH_LZ4
        " lz4"
#endif
#if NECPNET_WITH_ZLIB
        " zlib"
#endif
#if NECPNET_WITH_OPUS
        " opus"
#endif
#if NECPNET_WITH_SPEEXDSP
        " speexdsp"
#endif
#if NECPNET_WITH_PLATFORM
        " platform"
#endif
        ;
}
