/* openapi - GET /openapi.yaml: the description of this API, built into the program; GET /docs: the same to be read by people, a page
 * without scripts that needs nothing from elsewhere.
 *
 * The page follows the layout of the file alone: sections at the beginning of a line, paths and schemas two blanks in, operations
 * four.
 */
#include <string.h>

#include "api.h"
#include "openapi_text.h"

#define OPENAPI_POLICY \
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

void api_openapi(const services* known, const rest_request* request, rest_answer* answer)
{
    (void)known;
    (void)request;
    answer->type = "application/yaml; charset=utf-8";
    text_put_bytes(&answer->body, openapi_text, sizeof(openapi_text) - 1);
}

static const char openapi_head[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>necpnet-server: API</title>"
    "<meta name=\"viewport\" content=\"width=device-width\"><style>"
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:0 auto;padding:1em}"
    "pre{margin:.2em 0 .8em;padding:.6em .8em;overflow:auto;background:color-mix(in srgb,currentColor 7%,transparent);"
    "border-radius:4px;font-size:13px}summary{cursor:pointer;padding:.15em 0}summary code{font-weight:600}"
    "details details{margin-left:1.2em}h2{border-bottom:1px solid;margin-top:1.5em}</style></head><body>"
    "<h1>necpnet-server: API</h1><p>The whole description for tools: <a href=\"openapi.yaml\">openapi.yaml</a> "
    "(OpenAPI 3.0.3).</p>";

static void openapi_put_html(text* out, const char* line, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const char* name = line[i] == '<' ? "&lt;" : line[i] == '>' ? "&gt;" : line[i] == '&' ? "&amp;" : NULL;
        if (name) {
            text_put(out, name);
        } else {
            text_put_bytes(out, &line[i], 1);
        }
    }
}

/* Where the page is. */
typedef struct openapi_page {
    text* out;
    int depth; /* open <details> */
    bool quoting;
} openapi_page;

static void openapi_close(openapi_page* page, int depth)
{
    if (page->quoting) text_put(page->out, "</pre>");
    page->quoting = false;
    for (; page->depth > depth; page->depth--) text_put(page->out, "</details>");
}

static void openapi_open(openapi_page* page, const char* name, size_t bytes)
{
    text_put(page->out, "<details><summary><code>");
    openapi_put_html(page->out, name, bytes);
    text_put(page->out, "</code></summary>");
    page->depth++;
}

/* One line. A key without value opens a section where its depth says so; everything else is quoted. */
static void openapi_put_line(openapi_page* page, const char* line, size_t bytes, bool in_paths)
{
    size_t blanks = strspn(line, " ");
    bool opens = blanks < bytes && line[bytes - 1] == ':' && line[blanks] != '#' && line[blanks] != '-';
    int depth = (int)blanks / 2;
    if (blanks == 0 && opens) {
        openapi_close(page, 0);
        text_put(page->out, "<h2>");
        openapi_put_html(page->out, line, bytes - 1);
        text_put(page->out, "</h2>");
    } else if (opens && (depth == 1 || depth == 2) && blanks % 2 == 0 && (in_paths || depth <= 2)) {
        openapi_close(page, depth - 1);
        openapi_open(page, line + blanks, bytes - blanks - 1);
    } else {
        if (!page->quoting) text_put(page->out, "<pre>");
        page->quoting = true;
        openapi_put_html(page->out, line, bytes);
        text_put(page->out, "\n");
    }
}

void api_docs(const services* known, const rest_request* request, rest_answer* answer)
{
    (void)known;
    (void)request;
    openapi_page page = {.out = &answer->body};
    bool in_paths = false;
    answer->type = "text/html; charset=utf-8";
    text_put(&answer->headers, "Content-Security-Policy: " OPENAPI_POLICY "\r\n");
    text_put(&answer->body, openapi_head);
    for (const char* line = openapi_text; *line;) {
        size_t bytes = strcspn(line, "\n");
        if (bytes > 0 && line[0] != ' ') in_paths = strncmp(line, "paths:", 6) == 0;
        if (bytes > 0) openapi_put_line(&page, line, bytes, in_paths);
        line += bytes;
        if (*line) line++;
    }
    openapi_close(&page, 0);
    text_put(&answer->body, "</body></html>\n");
}
