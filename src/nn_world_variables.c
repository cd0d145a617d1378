/* nn_world_variables - variables of a world and of single sessions, and what each client has been told of them. */
#include "nn_follower.h"

enum { TOLD_WORLD = 0, TOLD_SESSION = 1 };

/* The table of everyone, or of one session; NULL: nobody is there, or it has none yet. */
static nn_variables* variables_of(const necpnet_world* world, necpnet_peer peer)
{
    if (peer == NECPNET_PEER_NONE) return (nn_variables*)(uintptr_t)(const void*)&world->variables;
    const nn_follower* follower = nn_follower_find(world, peer);
    return follower ? follower->own_variables : NULL;
}

static necpnet_result variables_need(necpnet_world* world, necpnet_peer peer, nn_variables** out)
{
    *out = variables_of(world, peer);
    if (*out) return NECPNET_OK;
    nn_follower* follower = nn_follower_find(world, peer);
    if (!follower) return NECPNET_ERR_NOT_FOUND;
    *out = (nn_variables*)nn_alloc_take(&world->alloc, sizeof(nn_variables));
    if (!*out) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_variables_init(*out, &world->alloc);
    follower->own_variables = *out;
    return NECPNET_OK;
}

necpnet_result necpnet_world_set_variable(necpnet_world* world, necpnet_peer peer, const char* key, necpnet_value value)
{
    if (!world || !key) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_variables* variables;
    necpnet_result result = nn_variables_check(key, strlen(key), &value);
    if (result == NECPNET_OK) result = variables_need(world, peer, &variables);
    if (result == NECPNET_OK) result = nn_variables_set(variables, key, strlen(key), &value);
    return result;
}

necpnet_result necpnet_world_get_variable(const necpnet_world* world, necpnet_peer peer, const char* key,
                                          necpnet_value* out_value)
{
    if (!world || !key || !out_value) return NECPNET_ERR_INVALID_ARGUMENT;
    const nn_variables* variables = variables_of(world, peer);
    const nn_variable* variable = variables ? nn_variables_find(variables, key, strlen(key)) : NULL;
    if (!variable || variable->type == NECPNET_VALUE_NONE) return NECPNET_ERR_NOT_FOUND;
    *out_value = nn_variable_value(variable);
    return NECPNET_OK;
}

/* ---- telling */

static const nn_variables* variables_to_tell(const nn_follower* follower, int scope)
{
    return scope == TOLD_WORLD ? &follower->world->variables : follower->own_variables;
}

static bool variables_lacks(const nn_follower* follower, int scope)
{
    const nn_variables* variables = variables_to_tell(follower, scope);
    const nn_told* told = &follower->told[scope];
    return told->renews || (variables && told->number < variables->number);
}

NN_PRIVATE bool nn_follower_lacks_variables(const nn_follower* follower)
{
    return variables_lacks(follower, TOLD_WORLD) || variables_lacks(follower, TOLD_SESSION);
}

NN_PRIVATE void nn_follower_renew_variables(nn_follower* follower)
{
    memset(follower->told, 0, sizeof follower->told);
    follower->told[TOLD_WORLD].renews = follower->told[TOLD_SESSION].renews = true;
}

NN_PRIVATE void nn_follower_end_variables(nn_follower* follower)
{
    if (!follower->own_variables) return;
    nn_variables_reset(follower->own_variables);
    nn_alloc_give(&follower->world->alloc, follower->own_variables, sizeof(nn_variables));
    follower->own_variables = NULL;
}

NN_PRIVATE bool nn_follower_write_variables(const nn_follower* follower, nn_writer* writer, int* out_scope,
                                            nn_told* out_told)
{
    int scope = variables_lacks(follower, TOLD_WORLD) ? TOLD_WORLD : TOLD_SESSION;
    if (!variables_lacks(follower, scope)) return false;
    const nn_variables* variables = variables_to_tell(follower, scope);
    nn_told told = follower->told[scope];
    if (variables && told.number && told.number < variables->forgotten) told.renews = true;
    bool begins = told.renews || !told.number;
    if (begins) told.number = 0;
    told.renews = false;
    nn_write_u8(writer, scope == TOLD_SESSION ? NN_VARIABLES_SESSION : 0);
    uint8_t* flags = writer->at - 1;
    if (begins) *flags |= NN_VARIABLES_BEGIN;
    const nn_variable* at = variables ? nn_variables_after(variables, told.number) : NULL;
    for (; at; at = at->newer) {
        nn_writer before = *writer;
        bool tells = !begins || at->type != NECPNET_VALUE_NONE;
        if (tells) nn_variable_write(at, writer);
        if (writer->failed) {
            *writer = before;
            break;
        }
        told.number = at->number;
    }
    if (!at) {
        *flags |= NN_VARIABLES_END;
        if (variables) told.number = variables->number;
    }
    *out_scope = scope;
    *out_told = told;
    return true;
}
