/* ws_world - a small server for tests of clients in other languages: what they may write, objects, variables, lists.
 *
 * usage: ws_world   serves open sessions over WebSocket at a free port of 127.0.0.1, prints "serving on port N"; ends by SIGTERM.
 *
 * The world has a door that everyone may write; each client gets a cart of its own, which it writes (faster than 10 a write is clamped,
 * a label "forbidden" is refused), and a bag, an object of its session; a match is the object of all. Variables: "map" and "round" of the world,
 * "team" of the session. Named messages: "pull" puts the client's cart to 5, 5; "open" opens the door by the server's hand; "round"
 * counts on; "forget" removes "map"; "reward" fills the bag.
 */
#include "necpnet.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define CLIENTS_MAX 16
#define DOOR 1
#define CART 2
#define MATCH 3
#define BAG 4

typedef struct door {
    bool open;
    uint8_t used;
    uint32_t users[6];
    char label[16];
} door;
typedef struct cart {
    float position[2];
    char label[16];
    uint8_t loads;
    int16_t load[5];
    uint16_t wear; /* the server's */
} cart;
typedef struct match {
    uint8_t phase;
    uint16_t score[2];
} match;
typedef struct bag {
    uint32_t coins;
    uint8_t keys[4];
} bag;

static const necpnet_field door_fields[] = {
    NECPNET_BOOL(door, open, 1, 0),
    NECPNET_INTEGER_LIST(door, users, used, 2, 0, 100000, 0),
    NECPNET_STRING(door, label, 3, 0),
};
static const necpnet_field cart_fields[] = {
    NECPNET_VEC2(cart, position, 1, -1000, 1000, 0.0625, 0),
    NECPNET_STRING(cart, label, 2, 0),
    NECPNET_INTEGER_LIST(cart, load, loads, 3, -100, 100, NECPNET_FIELD_SIGNED),
    NECPNET_INTEGER(cart, wear, 4, 0, 60000, NECPNET_FIELD_SERVER),
};
static const necpnet_field match_fields[] = {
    NECPNET_ENUM(match, phase, 1, 3, 0),
    NECPNET_INTEGER_ARRAY(match, score, 2, 0, 1000, 0),
};
static const necpnet_field bag_fields[] = {
    NECPNET_INTEGER(bag, coins, 1, 0, 1000000, 0),
    NECPNET_BYTES(bag, keys, 2, 0),
};
static const necpnet_entity_type types[] = {{"door", DOOR, sizeof(door), door_fields, 3},
                                            {"cart", CART, sizeof(cart), cart_fields, 4},
                                            {"match", MATCH, sizeof(match), match_fields, 2},
                                            {"bag", BAG, sizeof(bag), bag_fields, 2}};

struct player {
    necpnet_peer peer;
    necpnet_entity cart;
    necpnet_entity bag;
};

static struct player players[CLIENTS_MAX];
static necpnet_world* world;
static necpnet_server* server;
static necpnet_entity the_door;
static necpnet_entity the_match;
static int64_t rounds;
static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static bool validate(void* user, const necpnet_write* write, void* state)
{
    (void)user;
    if (write->type_id != CART) return true;
    const cart* before = (const cart*)write->before;
    cart* after = (cart*)state;
    for (int i = 0; i < 2; i++) {
        if (after->position[i] > before->position[i] + 10) after->position[i] = before->position[i] + 10;
        if (after->position[i] < before->position[i] - 10) after->position[i] = before->position[i] - 10;
    }
    return strcmp(after->label, "forbidden") != 0;
}

static void join(necpnet_peer peer)
{
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct player* player = &players[i];
        if (player->peer) continue;
        cart start = {{1, 2}, "new", 2, {7, -8}, 3};
        player->peer = peer;
        (void)necpnet_world_spawn(world, CART, &start, &player->cart);
        (void)necpnet_world_set_authority(world, player->cart, NECPNET_AUTHORITY_OWNER);
        (void)necpnet_world_set_owner(world, player->cart, peer);
        (void)necpnet_world_open_object(world, BAG, peer, &player->bag);
        (void)necpnet_world_set_variable(world, peer, "team", necpnet_value_of_integer(i + 1));
        return;
    }
}

static void obey(struct player* player, const char* name)
{
    if (!strcmp(name, "pull")) {
        cart* own = (cart*)necpnet_world_get(world, player->cart);
        own->position[0] = own->position[1] = 5;
        own->wear++;
        (void)necpnet_world_correct(world, player->cart);
    } else if (!strcmp(name, "open")) {
        ((door*)necpnet_world_get(world, the_door))->open = true;
        (void)necpnet_world_mark(world, the_door);
    } else if (!strcmp(name, "round")) {
        (void)necpnet_world_set_variable(world, NECPNET_PEER_NONE, "round", necpnet_value_of_integer(++rounds));
        ((match*)necpnet_world_get(world, the_match))->score[1]++;
        (void)necpnet_world_mark(world, the_match);
    } else if (!strcmp(name, "forget")) {
        necpnet_value none;
        memset(&none, 0, sizeof none);
        (void)necpnet_world_set_variable(world, NECPNET_PEER_NONE, "map", none);
    } else if (!strcmp(name, "reward")) {
        bag* own = (bag*)necpnet_world_get(world, player->bag);
        own->coins += 50;
        memcpy(own->keys, "\1\2\3\4", 4);
        (void)necpnet_world_mark(world, player->bag);
        (void)necpnet_world_set_variable(world, player->peer, "big",
                                         necpnet_value_of_integer(INT64_C(9007199254740993)));
        (void)necpnet_world_set_variable(world, player->peer, "blob", necpnet_value_of_bytes("\0\1\2", 3));
        (void)necpnet_world_set_variable(world, player->peer, "half", necpnet_value_of_number(0.5));
        (void)necpnet_world_set_variable(world, player->peer, "yes", necpnet_value_of_bool(true));
    }
}

static void hear(const necpnet_event* event)
{
    if (event->type == NECPNET_EVENT_CONNECTED && !event->resumed) join(event->peer);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        if (!players[i].peer || players[i].peer != event->peer) continue;
        if (event->type == NECPNET_EVENT_MESSAGE && event->name) obey(&players[i], event->name);
        if (event->type != NECPNET_EVENT_DISCONNECTED) continue;
        (void)necpnet_world_despawn(world, players[i].cart);
        memset(&players[i], 0, sizeof players[i]);
    }
}

static bool begin(necpnet_schema** schema)
{
    necpnet_world_config world_config;
    necpnet_server_config config;
    door closed = {false, 1, {42}, "a door"};
    (void)necpnet_world_config_default(&world_config);
    (void)necpnet_server_config_default(&config);
    if (necpnet_schema_create(NULL, NULL, types, 4, schema)) return false;
    world_config.schema = *schema;
    world_config.validate = validate;
    world_config.send_hz = 60;
    if (necpnet_world_create(&world_config, &world)) return false;
    (void)necpnet_world_spawn(world, DOOR, &closed, &the_door);
    (void)necpnet_world_set_authority(world, the_door, NECPNET_AUTHORITY_SHARED);
    (void)necpnet_world_open_object(world, MATCH, NECPNET_PEER_NONE, &the_match);
    (void)necpnet_world_set_variable(world, NECPNET_PEER_NONE, "map", necpnet_value_of_string("harbour"));
    (void)necpnet_world_set_variable(world, NECPNET_PEER_NONE, "round", necpnet_value_of_integer(0));
    config.bind_address = "127.0.0.1";
    config.udp_port = -1;
    config.tcp_port = 0;
    config.security = NECPNET_SECURITY_OPEN;
    config.world = world;
    return necpnet_server_create(&config, &server) == NECPNET_OK;
}

int main(void)
{
    necpnet_schema* schema = NULL;
    necpnet_event event;
    necpnet_world_event told;
    int udp = 0, tcp = 0;
    uint32_t tick = 0;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (!begin(&schema) || necpnet_server_get_ports(server, &udp, &tcp)) {
        fprintf(stderr, "ws_world: cannot serve\n");
        return 1;
    }
    printf("serving on port %d\n", tcp);
    fflush(stdout);
    while (!stopping) {
        (void)necpnet_server_update(server, necpnet_time_us());
        while (necpnet_server_poll(server, &event)) hear(&event);
        while (necpnet_world_poll(world, &told)) { /* whoever asks gets it */
            if (told.type == NECPNET_WORLD_AUTHORITY_REQUESTED)
                (void)necpnet_world_set_owner(world, told.entity, told.peer);
        }
        if (necpnet_server_tick(server) != tick) {
            tick = necpnet_server_tick(server);
            (void)necpnet_world_commit(world, tick);
        }
        (void)necpnet_server_wait(server, 5000);
    }
    necpnet_server_destroy(server);
    necpnet_world_destroy(world);
    necpnet_schema_destroy(schema);
    return 0;
}
