/* nn_view_variables - variables as a client has heard of them; who asks to be told of changes. */
#include "nn_view.h"

NN_PRIVATE void nn_view_begin_variables(necpnet_view* view)
{
    for (int i = 0; i < 2; i++) nn_variables_init(&view->variables[i], &view->alloc);
}

NN_PRIVATE void nn_view_end_variables(necpnet_view* view)
{
    for (int i = 0; i < 2; i++) nn_variables_reset(&view->variables[i]);
    nn_alloc_give(&view->alloc, view->watches, view->watch_capacity * sizeof(nn_view_watch));
}

static void view_remove_variable(nn_variables* variables, nn_variable* variable)
{
    necpnet_value none;
    memset(&none, 0, sizeof none);
    (void)nn_variables_set(variables, nn_variable_key(variable), variable->key_bytes, &none);
}

/* Removes all, or those that were not told anew. */
static void view_remove_variables(nn_variables* variables, bool stale_alone)
{
    uint64_t last = variables->number; /* removals go behind it */
    for (nn_variable* at = variables->oldest; at && at->number <= last;) {
        nn_variable* newer = at->newer;
        bool there = at->type != NECPNET_VALUE_NONE;
        if (there && (at->stale || !stale_alone)) view_remove_variable(variables, at);
        at = newer;
    }
}

NN_PRIVATE void nn_view_forget_variables(necpnet_view* view)
{
    for (int i = 0; i < 2; i++) view_remove_variables(&view->variables[i], false);
}

NN_PRIVATE necpnet_result nn_view_read_variables(necpnet_view* view, const uint8_t* data, size_t bytes)
{
    nn_reader reader = nn_reader_of(data, bytes);
    unsigned flags = nn_read_u8(&reader);
    if (reader.failed || (flags & ~NN_VARIABLES_FLAGS)) return NECPNET_ERR_PROTOCOL;
    nn_variables* variables = &view->variables[flags & NN_VARIABLES_SESSION ? 1 : 0];
    for (nn_variable* at = variables->oldest; at && (flags & NN_VARIABLES_BEGIN); at = at->newer) at->stale = true;
    while (nn_reader_left(&reader)) {
        const char* key;
        size_t key_bytes;
        necpnet_value value;
        if (!nn_variable_read(&reader, &key, &key_bytes, &value)) return NECPNET_ERR_PROTOCOL;
        necpnet_result result = nn_variables_set(variables, key, key_bytes, &value);
        if (result && result != NECPNET_ERR_NOT_FOUND) return result; /* what is gone may be told to be so */
    }
    if (flags & NN_VARIABLES_END) view_remove_variables(variables, true);
    return NECPNET_OK;
}

/* ---- the application's side */

static bool view_is_scope(necpnet_scope scope)
{
    return scope == NECPNET_SCOPE_WORLD || scope == NECPNET_SCOPE_SESSION;
}

necpnet_result necpnet_view_get_variable(const necpnet_view* view, necpnet_scope scope, const char* key,
                                         necpnet_value* out_value)
{
    if (!view || !key || !out_value || !view_is_scope(scope)) return NECPNET_ERR_INVALID_ARGUMENT;
    const nn_variable* variable = nn_variables_find(&view->variables[scope], key, strlen(key));
    if (!variable || variable->type == NECPNET_VALUE_NONE) return NECPNET_ERR_NOT_FOUND;
    *out_value = nn_variable_value(variable);
    return NECPNET_OK;
}

static void view_fill_change(const nn_variable* variable, necpnet_scope scope, necpnet_variable_change* out)
{
    memset(out, 0, sizeof *out);
    out->scope = scope;
    out->key = nn_variable_key(variable);
    out->value = nn_variable_value(variable);
}

bool necpnet_view_poll_variable(necpnet_view* view, necpnet_variable_change* out_change)
{
    if (!view || !out_change) return false;
    for (int scope = 0; scope < 2; scope++) {
        const nn_variable* variable = nn_variables_after(&view->variables[scope], view->variables_polled[scope]);
        if (!variable) continue;
        view->variables_polled[scope] = variable->number;
        view_fill_change(variable, (necpnet_scope)scope, out_change);
        return true;
    }
    return false;
}

/* ---- watches */

static bool view_watch_is(const nn_view_watch* watch, necpnet_scope scope, const char* key, size_t bytes)
{
    return watch->scope == (uint8_t)scope && watch->bytes == bytes && !memcmp(watch->key, key, bytes);
}

/* A key, or with * at its end all that begin so. */
static bool view_watch_matches(const nn_view_watch* watch, const nn_variable* variable)
{
    size_t bytes = watch->bytes;
    bool prefix = bytes > 0 && watch->key[bytes - 1] == '*';
    if (prefix) bytes--;
    if (prefix ? variable->key_bytes < bytes : variable->key_bytes != bytes) return false;
    return !bytes || !memcmp(watch->key, nn_variable_key(variable), bytes);
}

/* What went before the watch began is no news. */
static bool view_watch_wants(const nn_view_watch* watch, const nn_variable* variable)
{
    bool went_before = variable->type == NECPNET_VALUE_NONE && variable->number <= watch->since;
    return !went_before && view_watch_matches(watch, variable);
}

necpnet_result necpnet_view_watch(necpnet_view* view, necpnet_scope scope, const char* key,
                                  necpnet_view_watcher watcher, void* user)
{
    if (!view || !key || !view_is_scope(scope)) return NECPNET_ERR_INVALID_ARGUMENT;
    size_t bytes = strlen(key);
    if (bytes < 1 || bytes > NECPNET_NAME_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    uint32_t at = 0;
    while (at < view->watch_count && !view_watch_is(&view->watches[at], scope, key, bytes)) at++;
    if (!watcher) {
        if (at == view->watch_count) return NECPNET_ERR_NOT_FOUND;
        view->watches[at].watcher = NULL; /* its place goes when nobody is being told */
        return NECPNET_OK;
    }
    if (at == view->watch_count) {
        if (view->watch_count >= NECPNET_WATCHES_MAX) return NECPNET_ERR_LIMIT_REACHED;
        if (view->watch_count == view->watch_capacity) {
            uint32_t capacity = view->watch_capacity ? view->watch_capacity * 2 : 4;
            nn_view_watch* grown = (nn_view_watch*)nn_alloc_grow(
                &view->alloc, view->watches, view->watch_capacity * sizeof *grown, capacity * sizeof *grown);
            if (!grown) return NECPNET_ERR_OUT_OF_MEMORY;
            view->watches = grown;
            view->watch_capacity = capacity;
        }
        view->watch_count++;
    }
    nn_view_watch* watch = &view->watches[at];
    memset(watch, 0, sizeof *watch);
    watch->scope = (uint8_t)scope;
    watch->bytes = (uint8_t)bytes;
    memcpy(watch->key, key, bytes);
    watch->watcher = watcher;
    watch->user = user;
    watch->since = view->variables[scope].number;
    return NECPNET_OK;
}

/* Watchers may watch and stop watching: places stay where they are meanwhile. */
static void view_tell_watcher(necpnet_view* view, uint32_t index)
{
    for (;;) {
        nn_view_watch* watch = &view->watches[index];
        const nn_variables* variables = &view->variables[watch->scope];
        const nn_variable* at = nn_variables_after(variables, watch->seen);
        while (at && !view_watch_wants(watch, at)) at = at->newer;
        if (!watch->watcher) return;
        if (!at) {
            watch->seen = variables->number;
            return;
        }
        necpnet_variable_change change;
        view_fill_change(at, (necpnet_scope)watch->scope, &change);
        watch->seen = at->number;
        watch->watcher(watch->user, &change);
    }
}

NN_PRIVATE void nn_view_tell_watchers(necpnet_view* view)
{
    for (uint32_t i = 0; i < view->watch_count; i++) view_tell_watcher(view, i);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < view->watch_count; i++) {
        if (view->watches[i].watcher) view->watches[kept++] = view->watches[i];
    }
    view->watch_count = kept;
}
