/* server_channels - aim: who is in which voice channel is right whatever the order, limits are named, and nobody is remembered who is
 * nowhere. Method: the machine alone; and a thousand random steps beside a plain table that says what must be. */
#include "test.h"

#include "voice/channels.h"

static channel_wish wish_of(const char* id)
{
    channel_wish wish;
    memset(&wish, 0, sizeof wish);
    wish.id = id;
    wish.name = "Raid";
    wish.type = CHANNEL_PARTY;
    wish.guild = "";
    wish.owner = "ann";
    wish.owner_id = 1;
    wish.sound = (channel_sound){.sample_rate = 48000, .channels = 1, .bitrate = 24000, .frame_ms = 20};
    wish.max_users = 3;
    wish.is_active = true;
    return wish;
}

static channel* open_channel(channels* all, const char* id)
{
    channel* of = NULL;
    channel_wish wish = wish_of(id);
    TEST_OK(channels_open(all, &wish, &of));
    return of;
}

static necpnet_result join(channels* all, channel* of, uint64_t user, channel_member** out_member)
{
    char subject[32];
    snprintf(subject, sizeof subject, "user %d", (int)user);
    channel_entrance entrance = {.id = "00000000-0000-4000-8000-000000000000",
                                 .client_id = user,
                                 .subject = subject,
                                 .may_speak = true,
                                 .joined_us = 5};
    return channels_join(all, of, &entrance, out_member);
}

static uint32_t users_of(channels* all)
{
    uint32_t count = 0;
    for (uint64_t user = 1; user <= 64; user++) count += channels_user(all, user) != NULL;
    return count;
}

TEST(test_channels_hold_as_many_as_they_should)
{
    channels* all = NULL;
    channel_member *ann = NULL, *bob = NULL, *again = NULL;
    TEST_OK(channels_create(2, 64, &all));
    channel* of = open_channel(all, "one");
    TEST_OK(join(all, of, 1, &ann));
    TEST_OK(join(all, of, 2, &bob));
    TEST_EQUAL(join(all, of, 2, &again), NECPNET_ERR_ALREADY_EXISTS);
    TEST_CHECK(again == bob);
    TEST_OK(join(all, of, 3, &again));
    TEST_EQUAL(join(all, of, 4, &again), NECPNET_ERR_WOULD_BLOCK);
    TEST_EQUAL(of->count, 3);
    TEST_EQUAL(all->participants, 3);
    TEST_CHECK(channels_member(all, of, 2) == bob);
    TEST_CHECK(channels_member_named(of, "user 2") == bob);
    channels_leave(all, bob);
    TEST_CHECK(!channels_member(all, of, 2));
    TEST_CHECK(!channels_user(all, 2));
    of->is_active = false;
    TEST_EQUAL(join(all, of, 4, &again), NECPNET_ERR_REFUSED);
    channels_close(all, of);
    TEST_EQUAL(all->count, 0);
    TEST_EQUAL(users_of(all), 0);
    channels_destroy(all);
    channels_destroy(NULL);
}

TEST(test_channels_refuse_what_they_cannot_be)
{
    channels* all = NULL;
    channel* of = NULL;
    TEST_OK(channels_create(40, 64, &all));
    static const char* const ids[] = {"", "a b", "a.b", "a/b",
                                      "0123456789012345678901234567890123456789012345678901234567890123x"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        channel_wish wish = wish_of(ids[i]);
        TEST_EQUAL(channels_open(all, &wish, &of), NECPNET_ERR_INVALID_ARGUMENT);
    }
    static const uint32_t rates[] = {0, 7999, 96001};
    for (size_t i = 0; i < 3; i++) {
        channel_wish wish = wish_of("x");
        wish.sound.sample_rate = rates[i];
        TEST_EQUAL(channels_open(all, &wish, &of), NECPNET_ERR_INVALID_ARGUMENT);
    }
    TEST_EQUAL(channels_user(all, 1) == NULL, 1);
    for (int i = 0; i < CHANNELS_OWNED_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "c%d", i);
        (void)open_channel(all, id);
    }
    channel_wish more = wish_of("more");
    TEST_EQUAL(channels_open(all, &more, &of), NECPNET_ERR_LIMIT_REACHED);
    more.is_unlimited = true;
    TEST_OK(channels_open(all, &more, &of));
    TEST_EQUAL(channels_open(all, &more, &of), NECPNET_ERR_ALREADY_EXISTS);
    TEST_EQUAL(channels_give(all, of, 2, "bob"), NECPNET_OK);
    TEST_EQUAL(of->owner_id, 2);
    TEST_EQUAL(channels_give(all, of, 1, "ann"), NECPNET_ERR_LIMIT_REACHED);
    channel_member* member = NULL;
    for (int i = 0; i < CHANNELS_OF_USER_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "c%d", i);
        TEST_OK(join(all, channels_find(all, id), 9, &member));
    }
    TEST_EQUAL(join(all, of, 9, &member), NECPNET_ERR_LIMIT_REACHED);
    const char* last = "";
    uint32_t count = 0;
    for (channel* one = channels_after(all, ""); one; one = channels_after(all, one->id)) {
        TEST_CHECK(strcmp(last, one->id) < 0);
        last = one->id;
        count++;
    }
    TEST_EQUAL(count, CHANNELS_OWNED_MAX + 1);
    channels_destroy(all);
}

TEST(test_channels_invitations_end_with_their_channel)
{
    channels* all = NULL;
    TEST_OK(channels_create(4, 64, &all));
    channel* of = open_channel(all, "one");
    const char* id = "00000000-0000-4000-8000-000000000000";
    for (uint64_t i = 0; i < CHANNELS_INVITED_MAX; i++) TEST_OK(channels_invite(of, id, 100 + i, "somebody"));
    TEST_EQUAL(channels_invite(of, id, 100, "somebody"), NECPNET_ERR_ALREADY_EXISTS);
    TEST_EQUAL(channels_invite(of, id, 99, "somebody"), NECPNET_ERR_LIMIT_REACHED);
    channels_uninvite(of, channels_invitation(of, 150));
    TEST_CHECK(!channels_invitation(of, 150));
    TEST_OK(channels_invite(of, id, 99, "somebody"));
    channels_destroy(all);
}

TEST(test_channels_know_where_a_user_is_connected)
{
    channels* all = NULL;
    TEST_OK(channels_create(4, 64, &all));
    TEST_OK(channels_connect(all, 7, 0));
    TEST_OK(channels_connect(all, 7, 63));
    TEST_OK(channels_connect(all, 7, 63));
    TEST_EQUAL(channels_connect(all, 7, 64), NECPNET_ERR_OUT_OF_MEMORY);
    TEST_EQUAL(channels_user(all, 7)->workers, UINT64_C(1) << 63 | 1);
    TEST_CHECK(!channels_disconnect(all, 7, 63));
    TEST_EQUAL(channels_user(all, 7)->workers, UINT64_C(1) << 63 | 1);
    TEST_CHECK(!channels_disconnect(all, 7, 5));
    TEST_CHECK(!channels_disconnect(all, 8, 0));
    TEST_CHECK(!channels_disconnect(all, 7, 0));
    TEST_EQUAL(channels_user(all, 7)->workers, UINT64_C(1) << 63);
    TEST_CHECK(channels_disconnect(all, 7, 63));
    TEST_CHECK(!channels_user(all, 7));
    channels_destroy(all);
}

TEST(test_channels_agree_with_a_table_after_a_thousand_steps)
{
    channels* all = NULL;
    channel* of[6];
    bool inside[6][24] = {{false}};
    uint32_t state = 1;
    TEST_OK(channels_create(8, 64, &all));
    for (int i = 0; i < 6; i++) {
        char id[2] = {(char)('a' + i), 0};
        of[i] = open_channel(all, id);
        of[i]->max_users = 20;
    }
    for (int step = 0; step < 1000; step++) {
        state = state * 1664525u + 1013904223u;
        uint32_t c = state >> 8 & 0xff, u = state >> 16 & 0xff;
        c %= 6;
        u %= 24;
        channel_member* member = channels_member(all, of[c], u + 10);
        TEST_EQUAL(member != NULL, inside[c][u]);
        if (state >> 31) {
            necpnet_result result = join(all, of[c], u + 10, &member);
            if (result == NECPNET_OK) inside[c][u] = true;
        } else if (member) {
            channels_leave(all, member);
            inside[c][u] = false;
        }
        uint32_t total = 0;
        for (int i = 0; i < 6; i++) {
            uint32_t count = 0;
            for (int k = 0; k < 24; k++) count += inside[i][k];
            TEST_EQUAL(of[i]->count, count);
            total += count;
        }
        TEST_EQUAL(all->participants, total);
    }
    channels_destroy(all);
}

TEST_MAIN
