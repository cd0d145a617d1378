/* config_show - settings as they are shown, and --help. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config_inside.h"

static void config_show_value(const config* loaded, const config_row* row, text* out)
{
    const void* at = config_at_const(loaded, row);
    if (row->kind == CONFIG_BOOL) {
        text_put(out, *(const bool*)at ? "true" : "false");
    } else if (row->kind == CONFIG_INTEGER) {
        text_format(out, "%" PRId64, *(const int64_t*)at);
    } else if (row->kind == CONFIG_CHOICE) {
        const char* choice = row->choices;
        for (int64_t i = *(const int64_t*)at; i > 0; i--) choice += strcspn(choice, "|") + 1;
        text_format(out, "\"%.*s\"", (int)strcspn(choice, "|"), choice);
    } else if (row->kind == CONFIG_TEXT) {
        const char* value = *(char* const*)at;
        text_json(out, row->secret && value[0] ? "(hidden)" : value);
    } else if (row->kind == CONFIG_LIST) {
        const config_list* list = at;
        text_put(out, "[");
        for (int i = 0; i < list->count; i++) {
            if (i > 0) text_put(out, ", ");
            text_json(out, list->items[i]);
        }
        text_put(out, "]");
    } else {
        text_format(out, "\"(%d hidden)\"", ((const config_keys*)at)->count);
    }
}

void config_put_json(const config* loaded, text* out)
{
    for (size_t i = 0; i < config_row_count; i++) {
        text_format(out, "%s\"%s\":", i ? "," : "{", config_rows[i].key);
        config_show_value(loaded, &config_rows[i], out);
    }
    text_put(out, "}");
}

void config_show(const config* loaded, text* out)
{
    static const char* const sources[] = {"preset", "file", "environment", "flag"};
    for (size_t i = 0; i < config_row_count; i++) {
        text_format(out, "%-22s ", config_rows[i].key);
        config_show_value(loaded, &config_rows[i], out);
        text_format(out, "   (%s)\n", sources[loaded->sources[i]]);
    }
}

/* Help text, broken into lines of at most 100 columns behind a margin. */
static void config_put_help(text* out, const char* help)
{
    size_t column = 0;
    for (const char* at = help; *at;) {
        size_t bytes = strcspn(at, " ");
        if (column == 0 || column + bytes > 86) {
            text_put(out, column ? "\n            " : "            ");
            column = 0;
        } else {
            text_put(out, " ");
        }
        text_put_bytes(out, at, bytes);
        column += bytes + 1;
        at += bytes;
        while (*at == ' ') at++;
    }
    text_put(out, "\n");
}

void config_help(text* out)
{
    static const char* const wanted[] = {"[BOOL]", "N", "", "TEXT", "A,B,..", "ID:KEY,.."};
    text_put(
        out,
        "necpnet-server - one process for native games over UDP, browsers over WebSocket, and REST.\n\n"
        "usage: necpnet-server [--config FILE] [--KEY VALUE]...\n"
        "       necpnet-server migrate up|status [--config FILE] [--KEY VALUE]...   the schema of the store\n"
        "       necpnet-server backup|restore FILE [--config FILE] [--KEY VALUE]...  all of the store, checked\n"
        "       necpnet-server routes                                               the table of routes, as JSON\n\n"
        "Without any configuration it starts in development mode: on loopback alone, with a token key of its own,\n"
        "and prints the address of the demo page and a test token.\n\n"
        "  --config FILE     one JSON object with the keys below (also: environment NECPNET_CONFIG)\n"
        "  --check-config    check file, environment and flags, show every setting and where it came from, and exit\n"
        "  --help, -h        this page\n"
        "  --version         version and built-in features\n\n"
        "Each key may stand in the file, in the environment, or be a flag; the last of these wins.\n\n");
    for (size_t i = 0; i < config_row_count; i++) {
        char name[64];
        char flag[64];
        const config_row* row = &config_rows[i];
        config_environment_name(row, name);
        snprintf(flag, sizeof(flag), "%s", row->key);
        for (char* at = flag; *at; at++) *at = *at == '_' ? '-' : *at;
        text_format(out, "  --%s %s", flag, row->choices ? row->choices : wanted[row->kind]);
        text_format(out, "   (%s%s%s", name, row->seed_name ? ", " : "", row->seed_name ? row->seed_name : "");
        if (row->preset[0]) text_format(out, "; preset %s", row->preset);
        if (row->kind == CONFIG_INTEGER) text_format(out, "; %" PRId64 " .. %" PRId64, row->low, row->high);
        text_put(out, ")\n");
        config_put_help(out, row->help);
    }
    text_put(
        out,
        "\nSignals: the first SIGTERM or SIGINT drains (no new sessions; exit when empty or after drain_ms), a second\n"
        "one ends at once. Exit codes: 0 ended in good order, 1 the environment (a busy port, a file), 2 a mistake\n"
        "in the configuration, 3 ended by a second signal.\n");
}
