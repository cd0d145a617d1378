/* schema - print, check and convert schemas: JSON, .proto (proto.c), C. */
#include "schema.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define SCHEMA_FILE_BYTES_MAX (4u << 20)
#define FORM_FLAGS (NECPNET_FIELD_ARRAY | NECPNET_FIELD_BOUNDED) /* they make another kind of it */

static const char* const kind_names[] = {"bool", "integer", "enum",   "float",  "vec2", "vec3",
                                         "quat", "angle",   "entity", "string", "bytes"};

static const struct {
    const char* name;
    uint32_t flag;
} flag_names[] = {
    {"ownerOnly", NECPNET_FIELD_OWNER_ONLY},
    {"notOwner", NECPNET_FIELD_NOT_OWNER},
    {"interpolate", NECPNET_FIELD_INTERPOLATE},
    {"required", NECPNET_FIELD_REQUIRED},
    {"slow", NECPNET_FIELD_SLOW},
    {"position", NECPNET_FIELD_POSITION},
    {"parent", NECPNET_FIELD_PARENT},
    {"bounded", NECPNET_FIELD_BOUNDED},
    {"serverWrites", NECPNET_FIELD_SERVER},
};

const char* schema_kind_name(unsigned kind)
{
    return kind < sizeof kind_names / sizeof kind_names[0] ? kind_names[kind] : "?";
}

const char* schema_flag_name(unsigned index, uint32_t* out_flag)
{
    if (index >= sizeof flag_names / sizeof flag_names[0]) return NULL;
    *out_flag = flag_names[index].flag;
    return flag_names[index].name;
}

static bool ends_in(const char* text, const char* end)
{
    size_t bytes = strlen(text);
    return bytes >= strlen(end) && strcmp(text + bytes - strlen(end), end) == 0;
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

static char* read_file(const char* path, size_t* out_bytes)
{
    FILE* file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!file) {
        cli_fail("%s: %s", path, strerror(errno));
        return NULL;
    }
    char* text = malloc(SCHEMA_FILE_BYTES_MAX + 1);
    size_t bytes = text ? fread(text, 1, SCHEMA_FILE_BYTES_MAX + 1, file) : 0;
    bool good = text && !ferror(file) && bytes <= SCHEMA_FILE_BYTES_MAX;
    if (file != stdin) fclose(file);
    if (!good) {
        cli_fail("%s: cannot be read, or is larger than 4 MB", path);
        free(text);
        return NULL;
    }
    text[bytes] = 0;
    *out_bytes = bytes;
    return text;
}

static bool write_file(const char* path, const char* text)
{
    FILE* file = strcmp(path, "-") == 0 ? stdout : fopen(path, "wb");
    bool good = file && fputs(text, file) >= 0;
    if (file && file != stdout) good = fclose(file) == 0 && good;
    if (!good) cli_fail("%s: %s", path, strerror(errno));
    return good;
}

static void on_log(necpnet_log_level level, const char* line, void* user)
{
    (void)level;
    cli_fail("%s: %s", (const char*)user, line);
}

static necpnet_schema* load(const char* path)
{
    size_t bytes = 0;
    char* text = read_file(path, &bytes);
    if (!text) return NULL;
    if (ends_in(path, ".proto")) {
        char* json = proto_to_json(path, text);
        free(text);
        if (!json) return NULL;
        text = json;
        bytes = strlen(json);
    }
    necpnet_schema* schema = NULL;
    necpnet_logger logger = {on_log, (void*)(uintptr_t)path, NECPNET_LOG_WARNING};
    necpnet_result result = necpnet_schema_from_json(NULL, &logger, text, bytes, &schema);
    if (result != NECPNET_OK && result != NECPNET_ERR_BAD_SCHEMA) cli_fail("%s: %s", path, necpnet_result_text(result));
    free(text);
    return schema;
}

/* ---- print -------------------------------------------------------------------------------------------------------- */

static unsigned bits_of(double range)
{
    unsigned bits = 0;
    while (bits < 64 && ldexp(1.0, (int)bits) <= range) bits++;
    return bits;
}

/* Of one value of a whole state on the wire, or of a text. */
static unsigned value_bits(const necpnet_field* field)
{
    double steps = field->step > 0 ? floor((field->max - field->min) / field->step + 0.5) : 0;
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: return 1;
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM: return bits_of(field->max - field->min);
    case NECPNET_FIELD_FLOAT: return bits_of(steps);
    case NECPNET_FIELD_VEC2: return 2 * bits_of(steps);
    case NECPNET_FIELD_VEC3: return 3 * bits_of(steps);
    case NECPNET_FIELD_QUAT: return 2 + 3 * bits_of(2 * floor(0.7071067811865476 / field->step + 0.5));
    case NECPNET_FIELD_ANGLE: return bits_of(floor(6.283185307179586 / field->step + 0.5) - 1);
    case NECPNET_FIELD_ENTITY: return 32;
    case NECPNET_FIELD_STRING: return bits_of(field->count - 1) + 8 * (field->count - 1);
    default: return 8 * field->count;
    }
}

/* Of a whole state on the wire, at most. */
static unsigned field_bits(const necpnet_field* field)
{
    unsigned bits = value_bits(field) * (field->flags & NECPNET_FIELD_ARRAY ? field->count : 1);
    return bits + (field->flags & NECPNET_FIELD_BOUNDED ? bits_of(field->count) : 0);
}

const char* schema_form_name(const necpnet_field* field, char text[SCHEMA_FORM_BYTES])
{
    const char* many = field->flags & NECPNET_FIELD_BOUNDED ? "<=" : "";
    if (field->flags & NECPNET_FIELD_ARRAY)
        snprintf(text, SCHEMA_FORM_BYTES, "%s[%s%u]", schema_kind_name(field->kind), many, (unsigned)field->count);
    else
        snprintf(text, SCHEMA_FORM_BYTES, "%s", schema_kind_name(field->kind));
    return text;
}

static void print_range(const necpnet_field* field, char* to, size_t bytes)
{
    switch (field->kind) {
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM: snprintf(to, bytes, "%.16g .. %.16g", field->min, field->max); break;
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_VEC2:
    case NECPNET_FIELD_VEC3: snprintf(to, bytes, "%.6g .. %.6g by %.6g", field->min, field->max, field->step); break;
    case NECPNET_FIELD_QUAT:
    case NECPNET_FIELD_ANGLE: snprintf(to, bytes, "by %.6g", field->step); break;
    case NECPNET_FIELD_STRING: snprintf(to, bytes, "%u bytes", (unsigned)field->count); break;
    case NECPNET_FIELD_BYTES:
        snprintf(to, bytes, "%s%u bytes", field->flags & NECPNET_FIELD_BOUNDED ? "<= " : "", (unsigned)field->count);
        break;
    default: *to = 0; break;
    }
}

static void print_type(const necpnet_entity_type* type)
{
    unsigned bits = 0;
    printf("\n%s (%u), struct of %u bytes\n", type->name, (unsigned)type->id, (unsigned)type->struct_bytes);
    for (int i = 0; i < type->field_count; i++) {
        const necpnet_field* field = &type->fields[i];
        char range[96];
        char form[SCHEMA_FORM_BYTES];
        print_range(field, range, sizeof range);
        printf("  %5u  %-20s %-8s %-32s %4u bits ", (unsigned)field->id, field->name, schema_form_name(field, form),
               range, field_bits(field));
        for (size_t j = 0; j < sizeof flag_names / sizeof flag_names[0]; j++) {
            if (field->flags & flag_names[j].flag) printf(" %s", flag_names[j].name);
        }
        if (field->flags >> 16) printf(" %u Hz", (unsigned)(field->flags >> 16));
        printf("\n");
        bits += field_bits(field);
    }
    printf("         a whole state: %u bits at most\n", bits);
}

static int print_schema(const char* path)
{
    necpnet_schema* schema = load(path);
    if (!schema) return CLI_EXIT_FAILED;
    const necpnet_entity_type* type;
    printf("hash %016llx\n", (unsigned long long)necpnet_schema_get_hash(schema));
    for (int i = 0; (type = necpnet_schema_get_type(schema, i)) != NULL; i++) print_type(type);
    necpnet_schema_destroy(schema);
    return CLI_EXIT_OK;
}

/* ---- check -------------------------------------------------------------------------------------------------------- */

static const necpnet_field* find_field(const necpnet_entity_type* type, uint16_t id)
{
    for (int i = 0; type && i < type->field_count; i++) {
        if (type->fields[i].id == id) return &type->fields[i];
    }
    return NULL;
}

/* What stands in a and not, or otherwise, in b. */
static void list_changes(const necpnet_schema* a, const necpnet_schema* b, const char* gone, bool compare)
{
    const necpnet_entity_type* type;
    for (int i = 0; (type = necpnet_schema_get_type(a, i)) != NULL; i++) {
        const necpnet_entity_type* other = necpnet_schema_find_type(b, type->id);
        if (!other) printf("  type %s (%u) %s\n", type->name, (unsigned)type->id, gone);
        for (int j = 0; other && j < type->field_count; j++) {
            const necpnet_field* field = &type->fields[j];
            const necpnet_field* now = find_field(other, field->id);
            char before[96];
            char after[96];
            char form[SCHEMA_FORM_BYTES];
            char form_now[SCHEMA_FORM_BYTES];
            print_range(field, before, sizeof before);
            if (now) print_range(now, after, sizeof after);
            if (!now) {
                printf("  %s.%s (%u) %s\n", type->name, field->name, (unsigned)field->id, gone);
            } else if (compare && (now->kind != field->kind || ((now->flags ^ field->flags) & FORM_FLAGS))) {
                printf("  %s.%s (%u) was %s, is %s: read as missing\n", type->name, field->name, (unsigned)field->id,
                       schema_form_name(field, form), schema_form_name(now, form_now));
            } else if (compare && now->count != field->count) {
                printf("  %s.%s (%u) was %s %s, is %s %s\n", type->name, field->name, (unsigned)field->id,
                       schema_form_name(field, form), before, schema_form_name(now, form_now), after);
            } else if (compare && strcmp(before, after) != 0) {
                printf("  %s.%s (%u) was %s, is %s\n", type->name, field->name, (unsigned)field->id, before, after);
            }
        }
    }
}

static bool check_way(const char* what, const necpnet_schema* reader, const necpnet_schema* writer)
{
    char text[256];
    bool good = necpnet_schema_compare(reader, writer, text, sizeof text) == NECPNET_OK;
    printf("%s: %s%s\n", what, good ? "yes" : "no: ", text);
    return good;
}

static int check_schemas(const char* path, const char* older_path)
{
    necpnet_schema* schema = load(path);
    necpnet_schema* older = schema && older_path ? load(older_path) : NULL;
    bool good = schema && (!older_path || older);
    if (good && !older) printf("%s: hash %016llx\n", path, (unsigned long long)necpnet_schema_get_hash(schema));
    if (good && older) {
        bool same = necpnet_schema_get_hash(schema) == necpnet_schema_get_hash(older);
        printf("the same on the wire: %s\n", same ? "yes" : "no");
        list_changes(older, schema, "was there, is gone", true);
        list_changes(schema, older, "is new", false);
        good = check_way("clients of the older one can follow a server of the newer", older, schema);
        good = check_way("clients of the newer one can follow a server of the older", schema, older) && good;
    }
    necpnet_schema_destroy(older);
    necpnet_schema_destroy(schema);
    return good ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

/* ---- convert ------------------------------------------------------------------------------------------------------ */

static int convert(const char* from, const char* to)
{
    if (!ends_in(to, ".json") && !ends_in(to, ".proto") && strcmp(to, "-") != 0) {
        cli_fail("%s: a schema becomes .json or .proto", to);
        return CLI_EXIT_USAGE;
    }
    necpnet_schema* schema = load(from);
    if (!schema) return CLI_EXIT_FAILED;
    char* text = NULL;
    if (ends_in(to, ".proto")) {
        text = proto_of(schema);
    } else {
        size_t bytes = 0;
        (void)necpnet_schema_to_json(schema, NULL, 0, &bytes);
        text = malloc(bytes + 1);
        if (text) (void)necpnet_schema_to_json(schema, text, bytes + 1, &bytes);
    }
    bool good = text && write_file(to, text);
    free(text);
    necpnet_schema_destroy(schema);
    return good ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

int cli_schema_command(int argc, char** argv)
{
    if (argc == 2 && strcmp(argv[0], "print") == 0) return print_schema(argv[1]);
    if (argc >= 2 && argc <= 3 && strcmp(argv[0], "check") == 0)
        return check_schemas(argv[1], argc == 3 ? argv[2] : NULL);
    if (argc == 3 && strcmp(argv[0], "convert") == 0) return convert(argv[1], argv[2]);
    cli_fail("usage: necpnet schema print FILE | check FILE [OLDER] | convert FROM TO   (.json or .proto)");
    return CLI_EXIT_USAGE;
}
