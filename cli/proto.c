/* proto - schemas and .proto files (proto3). A message is an entity type, a field number the field's id; what proto3 has no
 * word for stands in a comment before the message or field, or behind the field:
 *
 *     // @necpnet id=3
 *     message Ship {
 *       // @necpnet kind=vec2 min=-100 max=100 step=0.01 interpolate required
 *       repeated float position = 1;
 *       string name = 2;  // @necpnet count=24
 *       Team team = 3;
 *       repeated int32 ammunition = 4;  // @necpnet count=6 min=0 max=999
 *       repeated fixed32 crew = 5;      // @necpnet kind=entity count=8 bounded
 *     }
 *     enum Team { RED = 0; BLUE = 1; }
 *
 * Read are messages, enums (at the top or inside a message), scalar and repeated fields; syntax, package, option, reserved
 * and comments are passed over. Without a comment an int32 has its whole range, an int64 2^53, a uint32 from 0; float,
 * double, string and bytes need one, and repeated its count; bounded makes a list of it. Messages in messages, maps, oneofs, imports and services are refused by name.
 */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "schema.h"

#define PROTO_WORD_BYTES 64
#define PROTO_NOTE_BYTES 512
#define PROTO_ENUMS_MAX 64

/* ---- text that grows ---------------------------------------------------------------------------------------------- */

typedef struct proto_text {
    char* data;
    size_t bytes;
    size_t capacity;
    bool failed;
} proto_text;

static void put(proto_text* text, const char* format, ...)
{
    char piece[512];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (bytes < 0 || (size_t)bytes >= sizeof piece || text->failed) {
        text->failed = true;
        return;
    }
    if (text->bytes + (size_t)bytes + 1 > text->capacity) {
        size_t capacity = (text->capacity + (size_t)bytes + 1) * 2;
        char* grown = realloc(text->data, capacity);
        if (!grown) {
            text->failed = true;
            return;
        }
        text->data = grown;
        text->capacity = capacity;
    }
    memcpy(text->data + text->bytes, piece, (size_t)bytes + 1);
    text->bytes += (size_t)bytes;
}

static char* taken(proto_text* text)
{
    if (!text->failed) return text->data;
    free(text->data);
    return NULL;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

typedef struct proto_enum {
    char name[PROTO_WORD_BYTES];
    long last;
} proto_enum;

typedef struct proto_reader {
    const char* path;
    const char* at;
    int line;
    char word[PROTO_WORD_BYTES]; /* the present token; "" at the end */
    char note[PROTO_NOTE_BYTES]; /* @necpnet comments since it was last taken */
    proto_enum enums[PROTO_ENUMS_MAX];
    int enum_count;
    bool failed;
} proto_reader;

static bool wrong(proto_reader* reader, const char* format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!reader->failed) cli_fail("%s:%d: %s", reader->path, reader->line, text);
    reader->failed = true;
    return false;
}

static void keep_note(proto_reader* reader, const char* from, const char* to)
{
    const char* mark = strstr(from, "@necpnet");
    size_t used = strlen(reader->note);
    if (!mark || mark >= to) return;
    mark += strlen("@necpnet");
    size_t bytes = (size_t)(to - mark);
    if (used + bytes + 2 > sizeof reader->note) {
        wrong(reader, "the @necpnet comment is too long");
        return;
    }
    reader->note[used] = ' ';
    memcpy(reader->note + used + 1, mark, bytes);
    reader->note[used + 1 + bytes] = 0;
}

/* Blanks and comments. */
static void skip_blanks(proto_reader* reader)
{
    for (;;) {
        while (isspace((unsigned char)*reader->at)) reader->line += *reader->at++ == '\n';
        const char* end;
        if (reader->at[0] == '/' && reader->at[1] == '/') {
            end = reader->at + strcspn(reader->at, "\n");
        } else if (reader->at[0] == '/' && reader->at[1] == '*') {
            end = strstr(reader->at, "*/");
            if (!end) {
                wrong(reader, "a comment without an end");
                reader->at += strlen(reader->at);
                return;
            }
        } else {
            return;
        }
        keep_note(reader, reader->at, end);
        for (; reader->at < end; reader->at++) reader->line += *reader->at == '\n';
        if (reader->at[0] == '*') reader->at += 2;
    }
}

/* The next token: a word or number, a text in quotes, or one character. */
static const char* next(proto_reader* reader)
{
    skip_blanks(reader);
    size_t bytes = 0;
    if (isalnum((unsigned char)*reader->at) || *reader->at == '_' || *reader->at == '.' || *reader->at == '-') {
        while (isalnum((unsigned char)reader->at[bytes]) || (reader->at[bytes] && strchr("_.-", reader->at[bytes])))
            bytes++;
    } else if (*reader->at == '"' || *reader->at == '\'') {
        bytes = 1 + strcspn(reader->at + 1, *reader->at == '"' ? "\"\n" : "'\n");
        if (reader->at[bytes] == *reader->at) bytes++;
    } else if (*reader->at) {
        bytes = 1;
    }
    if (bytes >= sizeof reader->word) {
        wrong(reader, "a word of more than 63 characters");
        bytes = sizeof reader->word - 1;
    }
    memcpy(reader->word, reader->at, bytes);
    reader->word[bytes] = 0;
    reader->at += bytes;
    return reader->word;
}

static bool is(const proto_reader* reader, const char* word)
{
    return strcmp(reader->word, word) == 0;
}

static bool expect(proto_reader* reader, const char* word)
{
    return strcmp(next(reader), word) == 0 || wrong(reader, "'%s' is expected, not '%s'", word, reader->word);
}

static bool skip_statement(proto_reader* reader)
{
    while (!is(reader, ";")) {
        if (!*next(reader)) return wrong(reader, "a ; is missing");
    }
    return true;
}

static bool read_number(proto_reader* reader, const char* text, long low, long high, long* out)
{
    char* end = NULL;
    *out = strtol(text, &end, 0);
    return (*text && !*end && *out >= low && *out <= high) ||
           wrong(reader, "'%s' is no number of %ld .. %ld", text, low, high);
}

/* Behind the word enum. */
static bool read_enum(proto_reader* reader)
{
    if (reader->enum_count == PROTO_ENUMS_MAX) return wrong(reader, "more than %d enums", PROTO_ENUMS_MAX);
    proto_enum* made = &reader->enums[reader->enum_count++];
    snprintf(made->name, sizeof made->name, "%s", next(reader));
    made->last = 0;
    if (!expect(reader, "{")) return false;
    while (strcmp(next(reader), "}") != 0) {
        long value = 0;
        if (!*reader->word) return wrong(reader, "enum %s has no end", made->name);
        if (is(reader, "option") || is(reader, "reserved")) {
            if (!skip_statement(reader)) return false;
            continue;
        }
        if (!expect(reader, "=") || !read_number(reader, next(reader), 0, 65535, &value) ||
            (next(reader), !skip_statement(reader))) {
            return false;
        }
        if (value > made->last) made->last = value;
    }
    return true;
}

/* Enums may stand behind their use: find them first. */
static bool find_enums(proto_reader* reader, const char* text)
{
    reader->at = text;
    reader->line = 1;
    while (*next(reader) && !reader->failed) {
        if (is(reader, "enum") && !read_enum(reader)) return false;
        reader->note[0] = 0;
    }
    reader->note[0] = 0;
    reader->at = text;
    reader->line = 1;
    return !reader->failed;
}

/* ---- a field ------------------------------------------------------------------------------------------------------ */

typedef struct proto_field {
    char name[PROTO_WORD_BYTES];
    char type[PROTO_WORD_BYTES];
    bool repeated;
    long id;
    const char* kind;
    char range[160]; /* members of JSON */
    bool has_min, has_max, has_step, has_count, has_rate;
} proto_field;

static const struct {
    const char* type;
    const char* kind;
    double min, max;
} scalars[] = {
    {"bool", "bool", 0, 0},
    {"int32", "integer", -2147483648.0, 2147483647.0},
    {"sint32", "integer", -2147483648.0, 2147483647.0},
    {"sfixed32", "integer", -2147483648.0, 2147483647.0},
    {"uint32", "integer", 0, 4294967295.0},
    {"fixed32", "integer", 0, 4294967295.0},
    {"int64", "integer", -9007199254740992.0, 9007199254740992.0},
    {"sint64", "integer", -9007199254740992.0, 9007199254740992.0},
    {"sfixed64", "integer", -9007199254740992.0, 9007199254740992.0},
    {"uint64", "integer", 0, 9007199254740992.0},
    {"fixed64", "integer", 0, 9007199254740992.0},
    {"float", "float", 0, 0},
    {"double", "float", 0, 0},
    {"string", "string", 0, 0},
    {"bytes", "bytes", 0, 0},
};

static bool is_flag(const char* word)
{
    uint32_t flag = 0;
    const char* name;
    for (unsigned i = 0; (name = schema_flag_name(i, &flag)) != NULL; i++) {
        if (strcmp(name, word) == 0) return true;
    }
    return false;
}

/* One word of a field's @necpnet comment. */
static bool take_note(proto_reader* reader, proto_field* field, char* word, proto_text* out)
{
    static const char* const numbers[] = {"min", "max", "step", "count", "rate"};
    if (strcmp(word, "@necpnet") == 0 || strcmp(word, "*") == 0) return true; /* of a comment of several lines */
    char* value = strchr(word, '=');
    if (!value && is_flag(word)) {
        put(out, ", \"%s\": true", word);
        return true;
    }
    if (!value) return wrong(reader, "field %s: '%s' is no word of @necpnet", field->name, word);
    *value++ = 0;
    if (strcmp(word, "kind") == 0) {
        for (unsigned i = 0; i <= NECPNET_FIELD_BYTES; i++) {
            if (strcmp(schema_kind_name(i), value) == 0) field->kind = schema_kind_name(i);
        }
        return strcmp(field->kind, value) == 0 || wrong(reader, "field %s: %s is no kind", field->name, value);
    }
    bool* has[] = {&field->has_min, &field->has_max, &field->has_step, &field->has_count, &field->has_rate};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char* end = NULL;
        if (strcmp(numbers[i], word) != 0) continue;
        double number = strtod(value, &end);
        if (*has[i] || !*value || *end || !isfinite(number)) {
            return wrong(reader, "field %s: %s=%s is no number, or stands twice", field->name, word, value);
        }
        *has[i] = true;
        put(out, ", \"%s\": %.17g", word, number);
        return true;
    }
    return wrong(reader, "field %s: '%s' is no word of @necpnet", field->name, word);
}

/* kind and range by the type alone. */
static bool judge_type(proto_reader* reader, proto_field* field, double* min, double* max)
{
    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
        if (strcmp(scalars[i].type, field->type) != 0) continue;
        field->kind = scalars[i].kind;
        *min = scalars[i].min;
        *max = scalars[i].max;
        return true;
    }
    for (int i = 0; i < reader->enum_count; i++) {
        if (strcmp(reader->enums[i].name, field->type) != 0) continue;
        field->kind = "enum";
        *max = (double)reader->enums[i].last;
        return true;
    }
    return wrong(reader, "field %s: type %s is neither a scalar nor an enum of this file", field->name, field->type);
}

static bool put_field(proto_reader* reader, proto_field* field, proto_text* out)
{
    double min = 0;
    double max = 0;
    if (!judge_type(reader, field, &min, &max)) return false;
    put(out, "{\"name\": \"%s\", \"id\": %ld", field->name, field->id);
    char* rest = reader->note;
    for (char* word = strtok(rest, " \t\r\n,"); word; word = strtok(NULL, " \t\r\n,")) {
        if (!take_note(reader, field, word, out)) return false;
    }
    reader->note[0] = 0;
    bool vector = strncmp(field->kind, "vec", 3) == 0 || strcmp(field->kind, "quat") == 0;
    bool repeatable = strcmp(field->kind, "string") != 0 && strcmp(field->kind, "bytes") != 0;
    bool number = strcmp(field->kind, "float") == 0 || strncmp(field->kind, "vec", 3) == 0;
    bool text = strcmp(field->kind, "string") == 0 || strcmp(field->kind, "bytes") == 0;
    if (field->repeated && !repeatable) {
        return wrong(reader, "field %s: strings and bytes cannot be repeated", field->name);
    }
    if (!field->repeated && (vector || (repeatable && field->has_count))) {
        return wrong(reader, "field %s: kind=vec2, vec3, quat and arrays (count=..) need repeated", field->name);
    }
    if (field->repeated && !vector && !field->has_count) {
        return wrong(reader, "field %s: put // @necpnet count=.. before it", field->name);
    }
    if (number && !(field->has_min && field->has_max && field->has_step)) {
        return wrong(reader, "field %s: put // @necpnet min=.. max=.. step=.. before it", field->name);
    }
    if (text && !field->has_count) return wrong(reader, "field %s: put // @necpnet count=.. before it", field->name);
    if (!field->has_step && (strcmp(field->kind, "quat") == 0 || strcmp(field->kind, "angle") == 0)) {
        return wrong(reader, "field %s: put // @necpnet step=.. before it", field->name);
    }
    bool is_enum = strcmp(field->kind, "enum") == 0;
    if (strcmp(field->kind, "integer") == 0 && !field->has_min) put(out, ", \"min\": %.17g", min);
    if ((strcmp(field->kind, "integer") == 0 || is_enum) && !field->has_max) put(out, ", \"max\": %.17g", max);
    if (strcmp(field->type, "double") == 0) put(out, ", \"double\": true");
    put(out, ", \"kind\": \"%s\"}", field->kind);
    return true;
}

/* A @necpnet comment behind the ; on the same line. */
static void read_note_behind(proto_reader* reader)
{
    const char* end = reader->at + strcspn(reader->at, "\n");
    const char* comment = strstr(reader->at, "//");
    if (!comment || comment >= end || strspn(reader->at, " \t") != (size_t)(comment - reader->at)) return;
    keep_note(reader, comment, end);
    reader->at = end;
}

static bool read_field(proto_reader* reader, proto_text* out, bool first)
{
    static const char* const refused[] = {"message", "map", "oneof", "extend", "group", "extensions", "required"};
    proto_field field = {.kind = ""};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (is(reader, refused[i])) return wrong(reader, "'%s' in a message cannot be an entity's field", refused[i]);
    }
    if (is(reader, "repeated")) {
        field.repeated = true;
        next(reader);
    } else if (is(reader, "optional")) {
        next(reader);
    }
    snprintf(field.type, sizeof field.type, "%s", reader->word);
    snprintf(field.name, sizeof field.name, "%s", next(reader));
    if (strspn(field.name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != strlen(field.name) ||
        !*field.name) {
        return wrong(reader, "'%s' is no name of a field", field.name);
    }
    if (!expect(reader, "=") || !read_number(reader, next(reader), 1, 65535, &field.id)) return false;
    next(reader);
    if (!skip_statement(reader)) return false; /* [options] */
    read_note_behind(reader);
    if (!first) put(out, ",\n");
    return put_field(reader, &field, out);
}

static bool read_message(proto_reader* reader, proto_text* out, int number)
{
    long id = number + 1;
    char* mark = strstr(reader->note, "id=");
    if (mark) {
        mark[3 + strcspn(mark + 3, " \t\r\n")] = 0;
        if (!read_number(reader, mark + 3, 1, 65535, &id)) return false;
    }
    reader->note[0] = 0;
    put(out, "%s{\"name\": \"%s\", \"id\": %ld, \"fields\": [\n", number ? "," : "", next(reader), id);
    if (!expect(reader, "{")) return false;
    int fields = 0;
    while (strcmp(next(reader), "}") != 0) {
        if (!*reader->word) return wrong(reader, "a message without an end");
        if (is(reader, ";")) continue;
        if (is(reader, "enum")) {
            int count = reader->enum_count; /* known already */
            if (!read_enum(reader)) return false;
            reader->enum_count = count;
        } else if (is(reader, "option") || is(reader, "reserved")) {
            if (!skip_statement(reader)) return false;
        } else if (!read_field(reader, out, fields++ == 0)) {
            return false;
        }
    }
    put(out, "]}\n");
    return true;
}

static bool read_file(proto_reader* reader, proto_text* out)
{
    int messages = 0;
    put(out, "{\"types\": [");
    while (*next(reader) && !reader->failed) {
        if (is(reader, ";")) continue;
        if (is(reader, "message")) {
            if (!read_message(reader, out, messages++)) return false;
        } else if (is(reader, "enum")) {
            int count = reader->enum_count;
            if (!read_enum(reader)) return false;
            reader->enum_count = count;
        } else if (is(reader, "syntax")) {
            if (!expect(reader, "=") ||
                (strcmp(next(reader), "\"proto3\"") != 0 && strcmp(reader->word, "'proto3'") != 0)) {
                return wrong(reader, "syntax must be proto3");
            }
            if (!skip_statement(reader)) return false;
        } else if (is(reader, "package") || is(reader, "option")) {
            if (!skip_statement(reader)) return false;
        } else {
            return wrong(reader, "'%s' has no place in a schema", reader->word);
        }
    }
    put(out, "]}\n");
    return !reader->failed && (messages || wrong(reader, "there is no message"));
}

char* proto_to_json(const char* path, const char* text)
{
    static proto_reader reader; /* large */
    proto_text out = {0};
    memset(&reader, 0, sizeof reader);
    reader.path = path;
    if (!find_enums(&reader, text) || !read_file(&reader, &out)) out.failed = true;
    return taken(&out);
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static const char* type_of(const necpnet_field* field)
{
    bool wide = field->storage_bytes == 8;
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: return "bool";
    case NECPNET_FIELD_INTEGER:
        if (field->min < 0) return field->min < -2147483648.0 || field->max > 2147483647.0 ? "sint64" : "sint32";
        return field->max > 4294967295.0 ? "uint64" : "uint32";
    case NECPNET_FIELD_ENUM:
    case NECPNET_FIELD_ENTITY: return "uint32";
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_ANGLE: return wide ? "double" : "float";
    case NECPNET_FIELD_STRING: return "string";
    case NECPNET_FIELD_BYTES: return "bytes";
    default: return wide ? "double" : "float";
    }
}

/* A vector is repeated for itself; an array of vectors puts their numbers one behind the other. */
static bool is_repeated(const necpnet_field* field)
{
    return (field->flags & NECPNET_FIELD_ARRAY) ||
           (field->kind >= NECPNET_FIELD_VEC2 && field->kind <= NECPNET_FIELD_QUAT);
}

static void put_note(proto_text* out, const necpnet_field* field)
{
    uint32_t flag = 0;
    const char* name;
    put(out, "  // @necpnet kind=%s", schema_kind_name(field->kind));
    bool ranged = field->kind == NECPNET_FIELD_INTEGER || field->kind == NECPNET_FIELD_FLOAT ||
                  field->kind == NECPNET_FIELD_VEC2 || field->kind == NECPNET_FIELD_VEC3;
    bool stepped = field->kind >= NECPNET_FIELD_FLOAT && field->kind <= NECPNET_FIELD_ANGLE;
    if (ranged) put(out, " min=%.17g", field->min);
    if (ranged || field->kind == NECPNET_FIELD_ENUM) put(out, " max=%.17g", field->max);
    if (stepped) put(out, " step=%.17g", field->step);
    if (field->kind >= NECPNET_FIELD_STRING || (field->flags & NECPNET_FIELD_ARRAY))
        put(out, " count=%u", (unsigned)field->count);
    for (unsigned i = 0; (name = schema_flag_name(i, &flag)) != NULL; i++) {
        if (field->flags & flag) put(out, " %s", name);
    }
    if (field->flags >> 16) put(out, " rate=%u", (unsigned)(field->flags >> 16));
    put(out, "\n");
}

char* proto_of(const necpnet_schema* schema)
{
    proto_text out = {0};
    const necpnet_entity_type* type;
    put(&out, "syntax = \"proto3\";\n\npackage necpnet;\n");
    for (int i = 0; (type = necpnet_schema_get_type(schema, i)) != NULL; i++) {
        put(&out, "\n// @necpnet id=%u\nmessage %s {\n", (unsigned)type->id, type->name);
        for (int j = 0; j < type->field_count; j++) {
            put_note(&out, &type->fields[j]);
            put(&out, "  %s%s %s = %u;\n", is_repeated(&type->fields[j]) ? "repeated " : "", type_of(&type->fields[j]),
                type->fields[j].name, (unsigned)type->fields[j].id);
        }
        put(&out, "}\n");
    }
    return taken(&out);
}
