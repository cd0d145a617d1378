/* files - the demo page and what it loads; GET of any path that is no other route. */
#include <string.h>

#include "api.h"

/* Scripts only from here; WebAssembly may be compiled; data goes to any WebSocket, so that a page can play elsewhere. */
#define FILES_POLICY \
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' " \
    "data:; " \
    "connect-src 'self' ws: wss:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'self'"

static const char files_not_built[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>necpnet-server</title>"
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42em;margin:4em auto;padding:0 1em;color:#1c2733}"
    "code,pre{background:#eef1f5;border-radius:4px;padding:.1em .4em}pre{padding:.8em 1em;overflow:auto}</style>"
    "<h1>The server runs; its demo page has not been built</h1>"
    "<p>Build the browser client, then load this page again:</p><pre>make wasm</pre>"
    "<p>Or tell the server where the files are: <code>--web-directory DIR</code> "
    "(<code>NECPNET_WEB_DIRECTORY</code>).</p>"
    "<p>What works without it: <a href=\"/health\">/health</a>, <a href=\"/metrics\">/metrics</a>, "
    "<a href=\"/api/v1/game\">/api/v1/game</a>, and native clients: <code>necpnet --help</code>.</p></html>\n";

void api_files(const services* known, const rest_request* request, rest_answer* answer)
{
    char tag[48];
    const char* type = NULL;
    switch (pages_read(known->files, request->path, rest_header(request, "If-None-Match"), &answer->body, tag, &type)) {
    case PAGES_FOUND: answer->type = type; break;
    case PAGES_UNCHANGED: answer->status = 304; break;
    case PAGES_MISSING:
        if (strcmp(request->path, "/") != 0 && strcmp(request->path, "/index.html") != 0) {
            rest_refuse(answer, request, 404, "there is nothing at this path", NULL);
            return;
        }
        answer->status = 503;
        answer->type = "text/html; charset=utf-8";
        text_put(&answer->body, files_not_built);
        break;
    }
    text_put(&answer->headers, "Cache-Control: no-cache\r\nContent-Security-Policy: " FILES_POLICY "\r\n");
    if (tag[0]) text_format(&answer->headers, "ETag: %s\r\n", tag);
}
