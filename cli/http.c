/* http - one POST over plain HTTP, through civetweb's client. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <civetweb.h>

#define HTTP_PATIENCE_S 60 /* with a server that answers "too many requests" */

typedef struct http_place {
    const char* url;
    char host[128];
    char path[256];
    int port;
} http_place;

static bool http_read_url(const char* url, http_place* out)
{
    *out = (http_place){.url = url, .path = "/", .port = 80};
    if (strncmp(url, "http://", 7) == 0 &&
        (sscanf(url + 7, "%127[^:/]:%d%255s", out->host, &out->port, out->path) >= 2 ||
         sscanf(url + 7, "%127[^:/]%255s", out->host, out->path) >= 1)) {
        return true;
    }
    cli_fail("'%s' is not of the form http://host:port/path (for https:// fetch the token with another tool and pass "
             "it by --token)",
             url);
    return false;
}

/* The status, or 0 with a reason printed. *out_wait_s: what Retry-After says, else 1. */
static int http_ask(const http_place* at, const char* body, char* answer, size_t answer_bytes, int* out_wait_s)
{
    char error[256] = "";
    struct mg_connection* connection = mg_connect_client(at->host, at->port, 0, error, sizeof error);
    if (!connection) {
        cli_fail("no HTTP server at %s:%d: is necpnet-server running (make run)? %s", at->host, at->port, error);
        return 0;
    }
    mg_printf(connection,
              "POST %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
              "Connection: close\r\n\r\n%s",
              at->path, at->host, at->port, strlen(body), body);
    int status = 0;
    size_t used = 0;
    if (mg_get_response(connection, error, sizeof error, 5000) < 0) {
        cli_fail("no answer from %s: %s", at->url, error);
    } else {
        const char* wait = mg_get_header(connection, "Retry-After");
        status = mg_get_response_info(connection)->status_code;
        *out_wait_s = wait && atoi(wait) >= 1 ? atoi(wait) : 1;
    }
    while (status && used + 1 < answer_bytes) {
        int got = mg_read(connection, answer + used, answer_bytes - 1 - used);
        if (got <= 0) break;
        used += (size_t)got;
    }
    answer[used] = '\0';
    mg_close_connection(connection);
    return status;
}

bool cli_http_post(const char* url, const char* body, char* answer, size_t answer_bytes)
{
    http_place at;
    int wait_s = 1;
    if (!http_read_url(url, &at)) return false;
    int status = http_ask(&at, body, answer, answer_bytes, &wait_s);
    /* a limit of the server's: as many as it takes, when it takes them */
    for (int waited_s = 0; status == 429 && waited_s + wait_s <= HTTP_PATIENCE_S && !cli_interrupted;
         waited_s += wait_s) {
        sleep((unsigned)wait_s);
        status = http_ask(&at, body, answer, answer_bytes, &wait_s);
    }
    if (status && (status < 200 || status > 299)) cli_fail("%s answered %d: %s", url, status, answer);
    return status >= 200 && status <= 299;
}
