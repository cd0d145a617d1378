/* http - one POST over plain HTTP, through civetweb's client. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <civetweb.h>

bool cli_http_post(const char* url, const char* body, char* answer, size_t answer_bytes)
{
    char host[128] = "", path[256] = "/", error[256] = "";
    int port = 80;
    if (strncmp(url, "http://", 7) != 0 || (sscanf(url + 7, "%127[^:/]:%d%255s", host, &port, path) < 2 &&
                                            sscanf(url + 7, "%127[^:/]%255s", host, path) < 1)) {
        cli_fail(
            "'%s' is not of the form http://host:port/path (for https:// fetch the token with another tool and pass "
            "it by --token)",
            url);
        return false;
    }
    struct mg_connection* connection = mg_connect_client(host, port, 0, error, sizeof error);
    if (!connection) {
        cli_fail("no HTTP server at %s:%d: is necpnet-server running (make run)? %s", host, port, error);
        return false;
    }
    mg_printf(connection,
              "POST %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
              "Connection: close\r\n\r\n%s",
              path, host, port, strlen(body), body);
    bool ok = mg_get_response(connection, error, sizeof error, 5000) >= 0;
    if (!ok) cli_fail("no answer from %s: %s", url, error);
    int status = ok ? mg_get_response_info(connection)->status_code : 0;
    size_t used = 0;
    while (ok && used + 1 < answer_bytes) {
        int got = mg_read(connection, answer + used, answer_bytes - 1 - used);
        if (got <= 0) break;
        used += (size_t)got;
    }
    answer[used] = '\0';
    mg_close_connection(connection);
    if (ok && (status < 200 || status > 299)) {
        cli_fail("%s answered %d: %s", url, status, answer);
        ok = false;
    }
    return ok;
}
