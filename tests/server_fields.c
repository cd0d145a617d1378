/* server_fields - what a request may say: every kind of field with every kind of mistake, and the table of routes that is made of
 * them. A mistake is named by its field, its place and its reason.
 */
#include "test.h"

#include "fields.h"
#include "routes.h"

static const field fields[] = {
    PATH_ID("player", 8),
    QUERY_INTEGER("limit", 1, 1000),
    QUERY_CHOICE("status", "active|idle|closing"),
    QUERY_ID("cursor", 16),
    {"deep", FIELD_IN_QUERY, FIELD_BOOL, false, 0, 0, NULL, 0},
    {"name", FIELD_IN_QUERY, FIELD_TEXT, false, 1, 8, NULL, 0},
    BODY_FIELD("title", FIELD_TEXT, true, 1, 8),
    BODY_FIELD("size", FIELD_INTEGER, false, -5, 5),
    BODY_FIELD("open", FIELD_BOOL, false, 0, 0),
    BODY_FIELD("data", FIELD_OBJECT, false, 0, 20),
    BODY_TEXTS("topics", false, 4, 3),
    BODY_CHOICE("kind", false, "a|bb"),
    FIELDS_END,
};

/* "field place reason" of what is wrong; "" when nothing is. */
static const char* judge(const char* path, const char* query, const char* body)
{
    static char said[128];
    field_values values;
    field_fault fault = {.field = ""};
    fields_begin(&values, fields);
    bool right = (!path || fields_take_path(&values, "player", path, strlen(path), &fault)) &&
                 (!query || fields_take_query(&values, query, "access_token", &fault)) &&
                 (!body || fields_take_body(&values, body, strlen(body), &fault));
    if (right && body) right = fields_finish(&values, &fault);
    said[0] = 0;
    if (!right) snprintf(said, sizeof(said), "%s %s %s", fault.field, fault.place, fault.reason);
    if (!right) TEST_CHECK(strstr(fault.message, fault.field) != NULL && fault.message[0] != 0);
    fields_end(&values);
    return said;
}

TEST(test_fields_name_what_is_wrong_in_a_query)
{
    static const struct {
        const char* query;
        const char* said;
    } cases[] = {
        {"limit=1&status=idle&cursor=a.b-c&deep=true&name=%C3%A9+x", ""},
        {"limit=1000&&", ""},
        {"access_token=a.b.c&access_token=%ff", ""},
        {"limit=0", "limit query range"},
        {"limit=1001", "limit query range"},
        {"limit=-1", "limit query range"},
        {"limit=99999999999999999999999", "limit query range"},
        {"limit=01", "limit query type"},
        {"limit=1.5", "limit query type"},
        {"limit=", "limit query type"},
        {"limit", "limit query type"},
        {"limit=+1", "limit query type"},
        {"limit=0x10", "limit query type"},
        {"limit=1&limit=1", "limit query duplicate"},
        {"status=Active", "status query range"},
        {"status=activ", "status query range"},
        {"status=active|idle", "status query range"},
        {"status=", "status query range"},
        {"cursor=a%2Fb", "cursor query characters"},
        {"cursor=aaaaaaaaaaaaaaaaa", "cursor query length"},
        {"cursor=", "cursor query length"},
        {"deep=1", "deep query type"},
        {"name=%", "name query encoding"},
        {"name=%f", "name query encoding"},
        {"name=%zz", "name query encoding"},
        {"name=%00", "name query encoding"},
        {"name=%ff", "name query encoding"},
        {"name=%c0%80", "name query encoding"},
        {"name=%0a", "name query characters"},
        {"name=123456789", "name query length"},
        {"wrong=1", "wrong query unknown"},
        {"%ff=1", " query encoding"},
        {"Limit=1", "Limit query unknown"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        TEST_HINT("query %s", cases[i].query);
        TEST_EQUAL_STRING(judge(NULL, cases[i].query, NULL), cases[i].said);
    }
}

TEST(test_fields_name_what_is_wrong_in_a_path)
{
    TEST_EQUAL_STRING(judge("ada", NULL, NULL), "");
    TEST_EQUAL_STRING(judge("%61da", NULL, NULL), "");
    TEST_EQUAL_STRING(judge("adaadaada", NULL, NULL), "player path length");
    TEST_EQUAL_STRING(judge("a%20b", NULL, NULL), "player path characters");
    TEST_EQUAL_STRING(judge("a+b", NULL, NULL), "player path characters");
    TEST_EQUAL_STRING(judge("%ff", NULL, NULL), "player path encoding");
    TEST_EQUAL_STRING(judge("a%00", NULL, NULL), "player path encoding");
    TEST_EQUAL_STRING(judge("a%", NULL, NULL), "player path encoding");
}

TEST(test_fields_name_what_is_wrong_in_a_body)
{
    static const struct {
        const char* body;
        const char* said;
    } cases[] = {
        {"{\"title\":\"x\",\"size\":-5,\"open\":false,\"data\":{\"a\":1},\"topics\":[\"a\",\"b\"],\"kind\":\"bb\"}",
         ""},
        {"{}", "title body missing"},
        {"", " body syntax"},
        {"[]", " body type"},
        {"{\"title\":\"x\"} x", " body syntax"},
        {"{\"title\":\"x\",\"title\":\"y\"}", "title body duplicate"},
        {"{\"title\":7}", "title body type"},
        {"{\"title\":null}", "title body type"},
        {"{\"title\":\"\"}", "title body length"},
        {"{\"title\":\"123456789\"}", "title body length"},
        {"{\"title\":\"\\n\"}", "title body characters"},
        {"{\"title\":\"\\u0000\"}", " body syntax"},
        {"{\"title\":\"\xff\"}", " body syntax"},
        {"{\"title\":\"x\",\"size\":6}", "size body range"},
        {"{\"title\":\"x\",\"size\":1e300}", "size body range"},
        {"{\"title\":\"x\",\"size\":-1e999}", "size body range"},
        {"{\"title\":\"x\",\"size\":0.5}", "size body type"},
        {"{\"title\":\"x\",\"size\":\"1\"}", "size body type"},
        {"{\"title\":\"x\",\"open\":1}", "open body type"},
        {"{\"title\":\"x\",\"data\":[]}", "data body type"},
        {"{\"title\":\"x\",\"data\":{\"a\":\"12345678901234567890\"}}", "data body length"},
        {"{\"title\":\"x\",\"topics\":\"a\"}", "topics body type"},
        {"{\"title\":\"x\",\"topics\":[]}", "topics body length"},
        {"{\"title\":\"x\",\"topics\":[\"a\",\"b\",\"c\",\"d\"]}", "topics body length"},
        {"{\"title\":\"x\",\"topics\":[\"12345\"]}", "topics body length"},
        {"{\"title\":\"x\",\"topics\":[1]}", "topics body type"},
        {"{\"title\":\"x\",\"topics\":[\"a\",\"a\"]}", "topics body duplicate"},
        {"{\"title\":\"x\",\"kind\":\"b\"}", "kind body range"},
        {"{\"title\":\"x\",\"more\":1}", "more body unknown"},
        {"{\"title\":\"x\",\"limit\":1}", "limit body unknown"},
        {"{\"title\":\"x\",\"\\u0007\":1}", " body unknown"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        TEST_HINT("body %s", cases[i].body);
        TEST_EQUAL_STRING(judge("ada", NULL, cases[i].body), cases[i].said);
    }
}

TEST(test_fields_give_values_by_name)
{
    field_values values;
    field_fault fault;
    static const char body[] = "{\"title\":\"hi\",\"topics\":[\"a\"]}";
    fields_begin(&values, fields);
    TEST_CHECK(fields_take_query(&values, "limit=7&status=closing", NULL, &fault));
    TEST_CHECK(fields_take_body(&values, body, sizeof(body) - 1, &fault));
    TEST_EQUAL(fields_number(&values, "limit", 100), 7);
    TEST_EQUAL(fields_number(&values, "size", 3), 3);
    TEST_EQUAL(fields_get(&values, "status")->number, 2);
    TEST_EQUAL_STRING(fields_text(&values, "title"), "hi");
    TEST_EQUAL_STRING(fields_text(&values, "cursor"), "");
    TEST_EQUAL(cJSON_GetArraySize(fields_get(&values, "topics")->json), 1);
    fields_end(&values);
}

TEST(test_routes_are_found_with_their_methods_and_parameters)
{
    route_match match;
    routes_find("GET", "/health", &match);
    TEST_CHECK(match.found && match.found->path);
    TEST_EQUAL_STRING(match.found->path, "/health");
    TEST_EQUAL_STRING(match.methods, "GET, HEAD, OPTIONS");
    routes_find("HEAD", "/api/v1/network/health", &match);
    TEST_CHECK(match.found && match.found->path);
    routes_find("POST", "/health", &match);
    TEST_CHECK(!match.found);
    routes_find("GET", "/api/v1/connect-tokens", &match);
    TEST_CHECK(!match.found);
    TEST_EQUAL_STRING(match.methods, "POST, OPTIONS");
    routes_find("GET", "/nothing", &match);
    TEST_CHECK(match.found && !match.found->path);
    routes_find("POST", "/nothing", &match);
    TEST_CHECK(!match.found);
    routes_find("GET", "/health/", &match);
    TEST_CHECK(match.found && !match.found->path);
}

/* What every row of the table keeps, so that a new one cannot be forgotten somewhere. */
TEST(test_routes_of_the_table_are_whole)
{
    for (const route* row = routes_list(); row->path; row++) {
        int count = 0;
        TEST_HINT("%s %s", row->method, row->path);
        TEST_CHECK(row->rule.roles != 0 && row->rule.limit != LIMIT_NONE);
        TEST_CHECK(row->handler != NULL || (row->flags & ROUTE_UPGRADE));
        TEST_CHECK((row->flags & ROUTE_SEED) || strncmp(row->path, "/api/v1/", 8) == 0);
        TEST_EQUAL(row->rule.owner == NULL, row->rule.object == NULL);
        bool has_object = row->rule.object == NULL;
        for (const field* at = row->fields; at && at->name; at++, count++) {
            has_object = has_object || strcmp(at->name, row->rule.object) == 0;
            if (at->place != FIELD_IN_PATH) continue;
            char part[80];
            snprintf(part, sizeof(part), "{%s}", at->name);
            TEST_CHECK(strstr(row->path, part) != NULL);
        }
        TEST_CHECK(has_object);
        TEST_AT_MOST(count, FIELDS_MAX);
        for (const route* other = row + 1; other->path; other++) {
            TEST_CHECK(strcmp(row->path, other->path) != 0 || strcmp(row->method, other->method) != 0);
        }
    }
}

TEST_MAIN
