/* nn_dep_mbedtls_tls - nn_tls by mbedTLS 2.28 or 3.6; without it, the same functions that say ERR_UNSUPPORTED.
 *
 * mbedTLS takes its own memory from malloc: it has one allocator a process, and the library sets no process globals.
 */
#include "nn_tls.h"

#if NECPNET_WITH_MBEDTLS

#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <mbedtls/build_info.h>
#include <psa/crypto.h>
#endif

#define TLS_HOST_BYTES_MAX 254
#define TLS_ALPN_COUNT 2

struct nn_tls_context {
    nn_alloc* alloc;
    necpnet_logger logger;
    necpnet_entropy entropy;
    bool is_server;
    bool insecure;
    mbedtls_ssl_config config;
    mbedtls_x509_crt chain; /* server: its certificate; client: the trusted roots */
    mbedtls_pk_context key;
    const char* alpn[TLS_ALPN_COUNT];
};

struct nn_tls {
    nn_tls_context* context;
    mbedtls_ssl_context ssl;
    const uint8_t* input; /* what was fed and not yet used */
    size_t input_bytes;
    nn_tls_send send;
    void* user;
    necpnet_result send_result; /* of the last send that failed */
    necpnet_address host;       /* client: if the host is a numeric address */
    bool is_open;
    bool is_dead;
    bool is_closed; /* in good order, by either side */
};

static int tls_random(void* user, unsigned char* to, size_t bytes)
{
    const necpnet_entropy* entropy = (const necpnet_entropy*)user;
    return entropy->fill && entropy->fill(to, bytes, entropy->user) ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static void tls_log(const nn_tls_context* context, necpnet_log_level level, const char* what, int error)
{
    char text[160] = "";
    mbedtls_strerror(error, text, sizeof text);
    nn_log_write(&context->logger, level, "tls: %s: %s (-0x%04x)", what, text, (unsigned)-error);
}

/* ---- contexts --------------------------------------------------------------------------------------------------- */

static nn_tls_context* tls_context_take(nn_alloc* alloc, const necpnet_logger* logger, const necpnet_entropy* entropy,
                                        bool is_server)
{
    nn_tls_context* context = (nn_tls_context*)nn_alloc_take(alloc, sizeof *context);
    if (!context) return NULL;
    context->alloc = alloc;
    context->logger = *logger;
    context->entropy = *entropy;
    context->is_server = is_server;
    context->alpn[0] = "http/1.1"; /* RFC 7301: WebSocket begins as HTTP/1.1 */
    mbedtls_ssl_config_init(&context->config);
    mbedtls_x509_crt_init(&context->chain);
    mbedtls_pk_init(&context->key);
    return context;
}

/* What both sides share. */
static necpnet_result tls_context_configure(nn_tls_context* context)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000 && (defined(MBEDTLS_SSL_PROTO_TLS1_3) || defined(MBEDTLS_USE_PSA_CRYPTO))
    if (psa_crypto_init() != PSA_SUCCESS) return NECPNET_ERR_NO_ENTROPY; /* a second call does nothing */
#endif
    int error = mbedtls_ssl_config_defaults(&context->config,
                                            context->is_server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                            MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (error) return NECPNET_ERR_OUT_OF_MEMORY;
    mbedtls_ssl_conf_rng(&context->config, tls_random, &context->entropy);
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    mbedtls_ssl_conf_min_version(&context->config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
#if defined(MBEDTLS_SSL_ALPN)
    if (mbedtls_ssl_conf_alpn_protocols(&context->config, context->alpn)) return NECPNET_ERR_OUT_OF_MEMORY;
#endif
    return NECPNET_OK;
}

static int tls_parse_key(nn_tls_context* context, const uint8_t* key, size_t key_bytes)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(&context->key, key, key_bytes + 1, NULL, 0, tls_random, &context->entropy);
#else
    return mbedtls_pk_parse_key(&context->key, key, key_bytes + 1, NULL, 0);
#endif
}

static int tls_check_pair(nn_tls_context* context)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_check_pair(&context->chain.pk, &context->key, tls_random, &context->entropy);
#else
    return mbedtls_pk_check_pair(&context->chain.pk, &context->key);
#endif
}

static necpnet_result tls_file_result(int error)
{
    return error == MBEDTLS_ERR_X509_ALLOC_FAILED || error == MBEDTLS_ERR_PK_ALLOC_FAILED
               ? NECPNET_ERR_OUT_OF_MEMORY
               : NECPNET_ERR_BAD_CERTIFICATE_FILE;
}

static necpnet_result tls_load_server(nn_tls_context* context, const uint8_t* certificate, size_t certificate_bytes,
                                      const uint8_t* key, size_t key_bytes)
{
    int error = mbedtls_x509_crt_parse(&context->chain, certificate, certificate_bytes + 1);
    if (error) { /* above 0: so many of the chain did not parse */
        if (error > 0) error = MBEDTLS_ERR_X509_INVALID_FORMAT;
        tls_log(context, NECPNET_LOG_ERROR, "the certificate file does not parse", error);
        return tls_file_result(error);
    }
    error = tls_parse_key(context, key, key_bytes);
    if (error) {
        tls_log(context, NECPNET_LOG_ERROR, "the key file does not parse (a passphrase is not supported)", error);
        return tls_file_result(error);
    }
    error = tls_check_pair(context);
    if (error) {
        tls_log(context, NECPNET_LOG_ERROR, "certificate and key do not belong together", error);
        return NECPNET_ERR_BAD_CERTIFICATE_FILE;
    }
    if (mbedtls_ssl_conf_own_cert(&context->config, &context->chain, &context->key)) return NECPNET_ERR_OUT_OF_MEMORY;
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_tls_context_create_server(nn_alloc* alloc, const necpnet_logger* logger,
                                                       const necpnet_entropy* entropy, const uint8_t* certificate,
                                                       size_t certificate_bytes, const uint8_t* key, size_t key_bytes,
                                                       nn_tls_context** out_context)
{
    nn_tls_context* context = tls_context_take(alloc, logger, entropy, true);
    if (!context) return NECPNET_ERR_OUT_OF_MEMORY;
    necpnet_result result = tls_context_configure(context);
    if (result == NECPNET_OK) result = tls_load_server(context, certificate, certificate_bytes, key, key_bytes);
    if (result != NECPNET_OK) {
        nn_tls_context_destroy(context);
        return result;
    }
    *out_context = context;
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_tls_context_create_client(nn_alloc* alloc, const necpnet_logger* logger,
                                                       const necpnet_entropy* entropy, const uint8_t* roots,
                                                       size_t roots_bytes, bool insecure, nn_tls_context** out_context)
{
    nn_tls_context* context = tls_context_take(alloc, logger, entropy, false);
    if (!context) return NECPNET_ERR_OUT_OF_MEMORY;
    context->insecure = insecure;
    necpnet_result result = tls_context_configure(context);
    if (result == NECPNET_OK && roots) {
        /* Above 0: so many roots of the file are of a kind that mbedTLS does not know; the others count. */
        int error = mbedtls_x509_crt_parse(&context->chain, roots, roots_bytes + 1);
        if (error < 0 || !context->chain.raw.p) {
            tls_log(context, NECPNET_LOG_ERROR, "the trusted roots do not parse", error);
            result = tls_file_result(error);
        }
    }
    if (result != NECPNET_OK) {
        nn_tls_context_destroy(context);
        return result;
    }
    mbedtls_ssl_conf_ca_chain(&context->config, &context->chain, NULL);
    mbedtls_ssl_conf_authmode(&context->config, insecure ? MBEDTLS_SSL_VERIFY_NONE : MBEDTLS_SSL_VERIFY_REQUIRED);
    *out_context = context;
    return NECPNET_OK;
}

NN_PRIVATE void nn_tls_context_destroy(nn_tls_context* context)
{
    if (!context) return;
    mbedtls_ssl_config_free(&context->config);
    mbedtls_x509_crt_free(&context->chain);
    mbedtls_pk_free(&context->key);
    nn_alloc_give(context->alloc, context, sizeof *context);
}

/* ---- a connection ----------------------------------------------------------------------------------------------- */

static int tls_bio_send(void* user, const unsigned char* data, size_t bytes)
{
    nn_tls* tls = (nn_tls*)user;
    bytes = nn_min_size(bytes, INT32_MAX);
    necpnet_result result = tls->send(tls->user, data, bytes);
    if (result != NECPNET_OK) {
        tls->send_result = result;
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    }
    return (int)bytes;
}

static int tls_bio_receive(void* user, unsigned char* to, size_t bytes)
{
    nn_tls* tls = (nn_tls*)user;
    if (!tls->input_bytes) return MBEDTLS_ERR_SSL_WANT_READ;
    bytes = nn_min_size(bytes, nn_min_size(tls->input_bytes, INT32_MAX));
    memcpy(to, tls->input, bytes);
    tls->input += bytes;
    tls->input_bytes -= bytes;
    return (int)bytes;
}

/* A host given as a number must stand in the certificate as iPAddress (RFC 2818 3.1); mbedTLS 2.28 compares names alone
 * and reports a mismatch, which is taken back here when the address is there. */
static int tls_verify(void* user, mbedtls_x509_crt* certificate, int depth, uint32_t* flags)
{
    const nn_tls* tls = (const nn_tls*)user;
    if (depth != 0 || !(*flags & MBEDTLS_X509_BADCERT_CN_MISMATCH)) return 0;
    size_t bytes = tls->host.family == NECPNET_ADDRESS_IPV4 ? 4 : 16;
    for (const mbedtls_x509_sequence* at = &certificate->subject_alt_names; at; at = at->next) {
        if ((at->buf.tag & 0x1f) == 7 && at->buf.len == bytes && !memcmp(at->buf.p, tls->host.bytes, bytes)) {
            *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
        }
    }
    return 0;
}

static necpnet_result tls_setup(nn_tls* tls, const char* host)
{
    if (mbedtls_ssl_setup(&tls->ssl, &tls->context->config)) return NECPNET_ERR_OUT_OF_MEMORY;
    mbedtls_ssl_set_bio(&tls->ssl, tls, tls_bio_send, tls_bio_receive, NULL);
    if (tls->context->is_server) return NECPNET_OK;
    if (mbedtls_ssl_set_hostname(&tls->ssl, host)) return NECPNET_ERR_OUT_OF_MEMORY;
    if (necpnet_address_parse(host, &tls->host) == NECPNET_OK) mbedtls_ssl_set_verify(&tls->ssl, tls_verify, tls);
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_tls_create(nn_tls_context* context, const char* host, nn_tls_send send, void* user,
                                        nn_tls** out_tls)
{
    if (host && strlen(host) > TLS_HOST_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_tls* tls = (nn_tls*)nn_alloc_take(context->alloc, sizeof *tls);
    if (!tls) return NECPNET_ERR_OUT_OF_MEMORY;
    tls->context = context;
    tls->send = send;
    tls->user = user;
    mbedtls_ssl_init(&tls->ssl);
    necpnet_result result = tls_setup(tls, host);
    if (result != NECPNET_OK) {
        nn_tls_destroy(tls);
        return result;
    }
    *out_tls = tls;
    return NECPNET_OK;
}

NN_PRIVATE void nn_tls_destroy(nn_tls* tls)
{
    if (!tls) return;
    mbedtls_ssl_free(&tls->ssl);
    nn_alloc_give(tls->context->alloc, tls, sizeof *tls);
}

NN_PRIVATE void nn_tls_feed(nn_tls* tls, const uint8_t* data, size_t bytes)
{
    NN_ASSERT(tls->input_bytes == 0);
    tls->input = data;
    tls->input_bytes = bytes;
}

NN_PRIVATE bool nn_tls_is_open(const nn_tls* tls)
{
    return tls->is_open && !tls->is_dead;
}

/* What ended the connection, by name. */
static necpnet_result tls_failed(nn_tls* tls, int error)
{
    tls->is_dead = true;
    if (tls->send_result != NECPNET_OK) return tls->send_result;
    uint32_t flags = tls->context->is_server ? 0 : mbedtls_ssl_get_verify_result(&tls->ssl);
    if (error == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED || (flags && flags != UINT32_MAX && !tls->context->insecure)) {
        char text[256] = "";
        mbedtls_x509_crt_verify_info(text, sizeof text, "", flags);
        for (char* at = text; *at; at++) {
            if (*at == '\n') *at = at[1] ? ';' : 0;
        }
        nn_log_write(&tls->context->logger, NECPNET_LOG_ERROR, "tls: certificate refused: %s", text);
        return NECPNET_ERR_CERTIFICATE;
    }
    if (error == MBEDTLS_ERR_SSL_ALLOC_FAILED) return NECPNET_ERR_OUT_OF_MEMORY;
    /* Strangers probe every public port: their faults are no warning. */
    tls_log(tls->context, tls->context->is_server ? NECPNET_LOG_DEBUG : NECPNET_LOG_ERROR,
            tls->is_open ? "the connection failed" : "the handshake failed", error);
    return NECPNET_ERR_TLS;
}

static bool tls_is_passing(int error)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000 && defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
    if (error == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) return true;
#endif
    return error == MBEDTLS_ERR_SSL_CRYPTO_IN_PROGRESS || error == MBEDTLS_ERR_SSL_ASYNC_IN_PROGRESS;
}

NN_PRIVATE necpnet_result nn_tls_read(nn_tls* tls, uint8_t* to, size_t bytes_max, size_t* out_bytes)
{
    *out_bytes = 0;
    if (tls->is_dead) return tls->is_closed ? NECPNET_ERR_CLOSED : NECPNET_ERR_TLS;
    if (!tls->is_open) {
        int error = mbedtls_ssl_handshake(&tls->ssl);
        if (error == MBEDTLS_ERR_SSL_WANT_READ || error == MBEDTLS_ERR_SSL_WANT_WRITE) return NECPNET_OK;
        if (error) return tls_failed(tls, error);
        tls->is_open = true;
    }
    int bytes;
    do {
        bytes = mbedtls_ssl_read(&tls->ssl, to, bytes_max);
    } while (bytes < 0 && tls_is_passing(bytes));
    if (bytes > 0) {
        *out_bytes = (size_t)bytes;
        return NECPNET_OK;
    }
    if (bytes == MBEDTLS_ERR_SSL_WANT_READ || bytes == MBEDTLS_ERR_SSL_WANT_WRITE) return NECPNET_OK;
    if (bytes == 0 || bytes == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
        tls->is_dead = true;
        tls->is_closed = true;
        return NECPNET_ERR_CLOSED;
    }
    return tls_failed(tls, bytes);
}

NN_PRIVATE necpnet_result nn_tls_write(nn_tls* tls, const uint8_t* data, size_t bytes)
{
    if (!nn_tls_is_open(tls)) return NECPNET_ERR_TLS;
    while (bytes) {
        int written = mbedtls_ssl_write(&tls->ssl, data, nn_min_size(bytes, NN_TLS_PLAINTEXT_BYTES_MAX));
        if (written <= 0) return tls_failed(tls, written);
        data += written;
        bytes -= (size_t)written;
    }
    return NECPNET_OK;
}

NN_PRIVATE void nn_tls_close(nn_tls* tls)
{
    if (nn_tls_is_open(tls)) (void)mbedtls_ssl_close_notify(&tls->ssl);
    tls->is_dead = true;
    tls->is_closed = true;
}

#else

NN_PRIVATE necpnet_result nn_tls_context_create_server(nn_alloc* alloc, const necpnet_logger* logger,
                                                       const necpnet_entropy* entropy, const uint8_t* certificate,
                                                       size_t certificate_bytes, const uint8_t* key, size_t key_bytes,
                                                       nn_tls_context** out_context)
{
    (void)alloc, (void)logger, (void)entropy, (void)certificate, (void)certificate_bytes, (void)key, (void)key_bytes;
    (void)out_context;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_PRIVATE necpnet_result nn_tls_context_create_client(nn_alloc* alloc, const necpnet_logger* logger,
                                                       const necpnet_entropy* entropy, const uint8_t* roots,
                                                       size_t roots_bytes, bool insecure, nn_tls_context** out_context)
{
    (void)alloc, (void)logger, (void)entropy, (void)roots, (void)roots_bytes, (void)insecure, (void)out_context;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_PRIVATE void nn_tls_context_destroy(nn_tls_context* context)
{
    (void)context;
}

NN_PRIVATE necpnet_result nn_tls_create(nn_tls_context* context, const char* host, nn_tls_send send, void* user,
                                        nn_tls** out_tls)
{
    (void)context, (void)host, (void)send, (void)user, (void)out_tls;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_PRIVATE void nn_tls_destroy(nn_tls* tls)
{
    (void)tls;
}

NN_PRIVATE void nn_tls_feed(nn_tls* tls, const uint8_t* data, size_t bytes)
{
    (void)tls, (void)data, (void)bytes;
}

NN_PRIVATE necpnet_result nn_tls_read(nn_tls* tls, uint8_t* to, size_t bytes_max, size_t* out_bytes)
{
    (void)tls, (void)to, (void)bytes_max;
    *out_bytes = 0;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_PRIVATE bool nn_tls_is_open(const nn_tls* tls)
{
    (void)tls;
    return false;
}

NN_PRIVATE necpnet_result nn_tls_write(nn_tls* tls, const uint8_t* data, size_t bytes)
{
    (void)tls, (void)data, (void)bytes;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_PRIVATE void nn_tls_close(nn_tls* tls)
{
    (void)tls;
}

#endif
