/* fields - what a request may say, checked against one table. */
#include "fields.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "text.h"

static const char* const field_places[] = {"", "path", "query", "body"};

#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
static bool
field_refuse(field_fault* fault, field_place place, const char* name, const char* reason, const char* format, ...)
{
    va_list arguments;
    char said[160];
    va_start(arguments, format);
    vsnprintf(said, sizeof(said), format, arguments);
    va_end(arguments);
    /* A name may come from outside: it is cut at whole characters, and shown only if it can be. */
    size_t bytes = strlen(name);
    if (bytes >= sizeof(fault->field)) bytes = sizeof(fault->field) - 1;
    while (bytes > 0 && !text_is_utf8(name, bytes)) bytes--;
    snprintf(fault->field, sizeof(fault->field), "%.*s", (int)bytes, name);
    if (!text_is_printable(fault->field, strlen(fault->field))) fault->field[0] = 0;
    fault->place = field_places[place];
    fault->reason = reason;
    snprintf(fault->message, sizeof(fault->message), "%s%s%s", fault->field, fault->field[0] ? ": " : "", said);
    return false;
}

static const field* field_find(const field_values* values, field_place place, const char* name, int* out_index)
{
    for (int i = 0; values->fields && values->fields[i].name; i++) {
        if (strcmp(values->fields[i].name, name) != 0) continue;
        if (place != FIELD_END && values->fields[i].place != place) continue;
        *out_index = i;
        return &values->fields[i];
    }
    return NULL;
}

/* "unknown; limit and cursor are known" */
static bool field_refuse_unknown(const field_values* values, field_fault* fault, field_place place, const char* name)
{
    char known[120];
    text list;
    int count = 0;
    text_begin(&list, known, sizeof(known));
    for (int i = 0; values->fields && values->fields[i].name; i++) {
        if (values->fields[i].place != place) continue;
        text_format(&list, "%s%s", count++ ? ", " : "", values->fields[i].name);
    }
    const char* what = place == FIELD_IN_QUERY ? "parameter" : "field";
    if (count == 0) return field_refuse(fault, place, name, "unknown", "unknown %s; there is none here", what);
    return field_refuse(fault, place, name, "unknown", "unknown %s; known: %s", what, known);
}

static int field_hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

char* fields_decode(const char* encoded, size_t bytes, bool plus)
{
    char* decoded = malloc(bytes + 1);
    size_t made = 0;
    bool right = decoded != NULL;
    for (size_t i = 0; right && i < bytes; i++) {
        char c = encoded[i] == '+' && plus ? ' ' : encoded[i];
        if (c == '%') {
            int high = bytes - i > 2 ? field_hex(encoded[i + 1]) : -1;
            int low = bytes - i > 2 ? field_hex(encoded[i + 2]) : -1;
            right = high >= 0 && low >= 0;
            c = right ? (char)((unsigned)high << 4 | (unsigned)low) : '\0';
            i += 2;
        }
        right = right && c != 0;
        decoded[made++] = c;
    }
    if (right && text_is_utf8(decoded, made)) {
        decoded[made] = 0;
        return decoded;
    }
    free(decoded);
    return NULL;
}

/* ----------------------------------------------------------------------------------------------- one value -- */

static bool field_check_length(const field* row, size_t bytes, field_fault* fault)
{
    if (bytes < (size_t)row->low)
        return field_refuse(fault, row->place, row->name, "length",
                            "shorter than %" PRId64 " bytes; %" PRId64 " .. %" PRId64 " bytes are allowed", row->low,
                            row->low, row->high);
    if (bytes > (size_t)row->high)
        return field_refuse(fault, row->place, row->name, "length",
                            "longer than %" PRId64 " bytes; %" PRId64 " .. %" PRId64 " bytes are allowed", row->high,
                            row->low, row->high);
    return true;
}

static bool field_check_text(const field* row, const char* value, field_fault* fault)
{
    static const char ids[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-";
    size_t bytes = strlen(value);
    if (!field_check_length(row, bytes, fault)) return false;
    if (row->kind == FIELD_ID && strspn(value, ids) != bytes)
        return field_refuse(fault, row->place, row->name, "characters",
                            "only letters, digits and . _ : @ - are allowed");
    if (!text_is_printable(value, bytes))
        return field_refuse(fault, row->place, row->name, "characters", "control characters are not allowed");
    return true;
}

static bool field_check_choice(const field* row, const char* value, field_fault* fault, int64_t* out_index)
{
    size_t value_bytes = strlen(value);
    *out_index = 0;
    for (const char* at = row->choices;; ++*out_index) {
        size_t bytes = strcspn(at, "|");
        if (bytes == value_bytes && memcmp(at, value, bytes) == 0) return true;
        if (at[bytes] == 0) break;
        at += bytes + 1;
    }
    return field_refuse(fault, row->place, row->name, "range", "none of %s", row->choices);
}

static bool field_check_range(const field* row, int64_t value, field_fault* fault)
{
    if (value >= row->low && value <= row->high) return true;
    return field_refuse(fault, row->place, row->name, "range",
                        "%" PRId64 " is out of range; %" PRId64 " .. %" PRId64 " is allowed", value, row->low,
                        row->high);
}

/* A number as digits alone; one that does not fit is out of range, not of another type. */
static bool field_read_integer(const field* row, const char* digits, field_fault* fault, int64_t* out_value)
{
    const char* at = digits + (digits[0] == '-');
    size_t count = strspn(at, "0123456789");
    if (count == 0 || at[count] != 0 || (at[0] == '0' && count > 1))
        return field_refuse(fault, row->place, row->name, "type", "a whole number is wanted");
    if (count > 18)
        return field_refuse(fault, row->place, row->name, "range",
                            "out of range; %" PRId64 " .. %" PRId64 " is allowed", row->low, row->high);
    *out_value = strtoll(digits, NULL, 10);
    return field_check_range(row, *out_value, fault);
}

/* A decoded text of path or query; taken over. */
static bool field_set_text(field_value* value, const field* row, char* given, field_fault* fault)
{
    bool right = false;
    switch (row->kind) {
    case FIELD_TEXT:
    case FIELD_ID: right = field_check_text(row, given, fault); break;
    case FIELD_CHOICE: right = field_check_choice(row, given, fault, &value->number); break;
    case FIELD_INTEGER: right = field_read_integer(row, given, fault, &value->number); break;
    case FIELD_BOOL:
        value->number = strcmp(given, "true") == 0;
        right = value->number || strcmp(given, "false") == 0 ||
                field_refuse(fault, row->place, row->name, "type", "true or false is wanted");
        break;
    default: field_refuse(fault, row->place, row->name, "type", "it stands in a body alone"); break;
    }
    if (!right) {
        free(given);
        return false;
    }
    value->present = true;
    value->text = given;
    return true;
}

static bool field_set_encoded(field_values* values, int index, const char* encoded, size_t bytes, field_fault* fault)
{
    const field* row = &values->fields[index];
    if (values->values[index].present)
        return field_refuse(fault, row->place, row->name, "duplicate", "it stands there more than once");
    char* given = fields_decode(encoded, bytes, row->place == FIELD_IN_QUERY);
    if (!given)
        return field_refuse(fault, row->place, row->name, "encoding",
                            "percent-encoding of UTF-8 without NUL is wanted");
    return field_set_text(&values->values[index], row, given, fault);
}

/* --------------------------------------------------------------------------------------------- path and query -- */

void fields_begin(field_values* values, const field* fields)
{
    memset(values, 0, sizeof(*values));
    values->fields = fields;
    for (int i = 0; fields && fields[i].name; i++) assert(i < FIELDS_MAX);
}

void fields_end(field_values* values)
{
    for (int i = 0; i < FIELDS_MAX; i++) free(values->values[i].text);
    cJSON_Delete(values->body);
    memset(values, 0, sizeof(*values));
}

bool fields_take_path(field_values* values, const char* name, const char* encoded, size_t bytes, field_fault* fault)
{
    int index = 0;
    if (!field_find(values, FIELD_IN_PATH, name, &index))
        return field_refuse_unknown(values, fault, FIELD_IN_PATH, name);
    return field_set_encoded(values, index, encoded, bytes, fault);
}

static bool field_take_pair(field_values* values, const char* pair, size_t bytes, const char* ignored,
                            field_fault* fault)
{
    const char* equals = memchr(pair, '=', bytes);
    size_t name_bytes = equals ? (size_t)(equals - pair) : bytes;
    char* name = fields_decode(pair, name_bytes, true);
    int index = 0;
    if (!name)
        return field_refuse(fault, FIELD_IN_QUERY, "", "encoding",
                            "a parameter's name is not percent-encoded UTF-8 without NUL");
    bool right = true;
    if (!ignored || strcmp(name, ignored) != 0) {
        right = field_find(values, FIELD_IN_QUERY, name, &index)
                    ? field_set_encoded(values, index, equals ? equals + 1 : pair + bytes,
                                        equals ? bytes - name_bytes - 1 : 0, fault)
                    : field_refuse_unknown(values, fault, FIELD_IN_QUERY, name);
    }
    free(name);
    return right;
}

bool fields_take_query(field_values* values, const char* query, const char* ignored, field_fault* fault)
{
    for (const char* at = query; *at;) {
        size_t bytes = strcspn(at, "&");
        if (bytes > 0 && !field_take_pair(values, at, bytes, ignored, fault)) return false;
        at += bytes;
        if (*at == '&') at++;
    }
    return true;
}

/* -------------------------------------------------------------------------------------------------------- body -- */

static bool field_check_texts(const field* row, const cJSON* json, field_fault* fault)
{
    int count = 0;
    const cJSON* item;
    if (!cJSON_IsArray(json)) return field_refuse(fault, row->place, row->name, "type", "a list of texts is wanted");
    cJSON_ArrayForEach(item, json)
    {
        if (++count > row->count_max)
            return field_refuse(fault, row->place, row->name, "length", "more than %d items", row->count_max);
        if (!cJSON_IsString(item))
            return field_refuse(fault, row->place, row->name, "type", "item %d is no text", count - 1);
        if (!field_check_text(row, item->valuestring, fault)) return false;
        for (const cJSON* other = item->next; other; other = other->next) {
            if (cJSON_IsString(other) && strcmp(other->valuestring, item->valuestring) == 0)
                return field_refuse(fault, row->place, row->name, "duplicate", "item %d stands there twice", count - 1);
        }
    }
    if (count == 0) return field_refuse(fault, row->place, row->name, "length", "at least one item is wanted");
    return true;
}

static bool field_check_object(const field* row, const cJSON* json, field_fault* fault)
{
    if (!cJSON_IsObject(json)) return field_refuse(fault, row->place, row->name, "type", "a JSON object is wanted");
    char* printed = cJSON_PrintUnformatted(json);
    size_t bytes = printed ? strlen(printed) : SIZE_MAX;
    free(printed);
    return bytes <= (size_t)row->high ||
           field_refuse(fault, row->place, row->name, "length", "longer than %" PRId64 " bytes", row->high);
}

static bool field_set_json(field_value* value, const field* row, const cJSON* json, field_fault* fault)
{
    switch (row->kind) {
    case FIELD_TEXT:
    case FIELD_ID:
    case FIELD_CHOICE:
        if (!cJSON_IsString(json)) return field_refuse(fault, row->place, row->name, "type", "a text is wanted");
        if (row->kind != FIELD_CHOICE && !field_check_text(row, json->valuestring, fault)) return false;
        if (row->kind == FIELD_CHOICE && !field_check_choice(row, json->valuestring, fault, &value->number))
            return false;
        value->text = text_copy(json->valuestring);
        if (!value->text) return field_refuse(fault, row->place, row->name, "length", "no memory for it");
        break;
    case FIELD_INTEGER:
        if (!cJSON_IsNumber(json))
            return field_refuse(fault, row->place, row->name, "type", "a whole number is wanted");
        if (!(json->valuedouble >= -9007199254740991.0 && json->valuedouble <= 9007199254740991.0))
            return field_refuse(fault, row->place, row->name, "range",
                                "out of range; %" PRId64 " .. %" PRId64 " is allowed", row->low, row->high);
        if (json->valuedouble != (double)(int64_t)json->valuedouble)
            return field_refuse(fault, row->place, row->name, "type", "a whole number is wanted");
        value->number = (int64_t)json->valuedouble;
        if (!field_check_range(row, value->number, fault)) return false;
        break;
    case FIELD_BOOL:
        if (!cJSON_IsBool(json)) return field_refuse(fault, row->place, row->name, "type", "true or false is wanted");
        value->number = cJSON_IsTrue(json);
        break;
    case FIELD_TEXTS:
        if (!field_check_texts(row, json, fault)) return false;
        break;
    case FIELD_OBJECT:
        if (!field_check_object(row, json, fault)) return false;
        break;
    case FIELD_NUMBER:
        if (!cJSON_IsNumber(json)) return field_refuse(fault, row->place, row->name, "type", "a number is wanted");
        if (!(json->valuedouble >= (double)row->low && json->valuedouble <= (double)row->high))
            return field_refuse(fault, row->place, row->name, "range",
                                "out of range; %" PRId64 " .. %" PRId64 " is allowed", row->low, row->high);
        break;
    }
    value->json = json;
    value->present = true;
    return true;
}

bool fields_take_json(field_values* values, cJSON* object, field_fault* fault)
{
    const cJSON* item;
    values->body = object;
    if (!cJSON_IsObject(object))
        return field_refuse(fault, FIELD_IN_BODY, "", "type", "the body is wanted as one JSON object");
    cJSON_ArrayForEach(item, object)
    {
        int index = 0;
        if (!field_find(values, FIELD_IN_BODY, item->string, &index))
            return field_refuse_unknown(values, fault, FIELD_IN_BODY, item->string);
        if (values->values[index].present)
            return field_refuse(fault, FIELD_IN_BODY, item->string, "duplicate", "it stands there more than once");
        if (!field_set_json(&values->values[index], &values->fields[index], item, fault)) return false;
    }
    return true;
}

bool fields_take_body(field_values* values, const char* json, size_t bytes, field_fault* fault)
{
    char error[160];
    char twice[64] = "";
    cJSON* tree = json_parse(json, bytes, error, sizeof(error));
    if (tree) return fields_take_json(values, tree, fault);
    if (sscanf(error, "the key \"%63[^\"]\"", twice) == 1)
        return field_refuse(fault, FIELD_IN_BODY, twice, "duplicate", "%s", error);
    return field_refuse(fault, FIELD_IN_BODY, "", "syntax", "%s", error);
}

bool fields_finish(const field_values* values, field_fault* fault)
{
    for (int i = 0; values->fields && values->fields[i].name; i++) {
        const field* row = &values->fields[i];
        if (row->required && !values->values[i].present)
            return field_refuse(fault, row->place, row->name, "missing", "it is missing");
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------------ values -- */

const field_value* fields_get(const field_values* values, const char* name)
{
    static const field_value absent = {false, NULL, 0, NULL};
    const field_value* found = NULL;
    for (int i = 0; values->fields && values->fields[i].name; i++) {
        if (strcmp(values->fields[i].name, name) != 0) continue;
        found = &values->values[i];
        if (found->present) break;
    }
    assert(found);
    return found ? found : &absent;
}

const char* fields_text(const field_values* values, const char* name)
{
    const field_value* value = fields_get(values, name);
    return value->text ? value->text : "";
}

int64_t fields_number(const field_values* values, const char* name, int64_t absent)
{
    const field_value* value = fields_get(values, name);
    return value->present ? value->number : absent;
}

double fields_real(const field_values* values, const char* name, double absent)
{
    const field_value* value = fields_get(values, name);
    return value->present && value->json ? value->json->valuedouble : absent;
}

void fields_say(const field_fault* fault, char* json, size_t json_bytes)
{
    text out;
    text_begin(&out, json, json_bytes);
    text_put(&out, "{\"field\":");
    text_json(&out, fault->field);
    text_format(&out, ",\"in\":\"%s\",\"reason\":\"%s\"}", fault->place, fault->reason);
    if (out.failed) snprintf(json, json_bytes, "{}");
}
