/* server_groups - aim: members and leaders are right whatever the order; limits are named. */
#include "test.h"

#include "groups.h"

TEST(test_groups_members_come_by_invitation_and_the_oldest_leads_next)
{
    groups* all = NULL;
    groups_group* group = NULL;
    bool ended = true;
    TEST_OK(groups_create(10, &all));
    TEST_OK(groups_begin(all, 1, 3, false, &group));
    TEST_EQUAL(groups_join(all, group, 2, false), NECPNET_ERR_PERMISSION);
    TEST_OK(groups_invite(group, 2));
    TEST_EQUAL(groups_invite(group, 2), NECPNET_ERR_ALREADY_EXISTS);
    TEST_EQUAL(groups_invite(group, 1), NECPNET_ERR_ALREADY_EXISTS);
    TEST_OK(groups_join(all, group, 2, false));
    TEST_EQUAL(groups_join(all, group, 2, false), NECPNET_ERR_ALREADY_EXISTS);
    TEST_OK(groups_join(all, group, 3, true));
    TEST_EQUAL(groups_join(all, group, 4, true), NECPNET_ERR_LIMIT_REACHED);
    TEST_EQUAL(groups_lead(group, 4), NECPNET_ERR_NOT_FOUND);
    TEST_OK(groups_lead(group, 3));
    TEST_OK(groups_leave(all, group, 3, &ended));
    TEST_CHECK(!ended);
    TEST_EQUAL(group->leader, 1);
    TEST_OK(groups_leave(all, group, 1, &ended));
    TEST_EQUAL(group->leader, 2);
    TEST_EQUAL(groups_leave(all, group, 9, &ended), NECPNET_ERR_NOT_FOUND);
    uint32_t id = group->id;
    TEST_OK(groups_leave(all, group, 2, &ended));
    TEST_CHECK(ended);
    TEST_CHECK(!groups_find(all, id));
    TEST_EQUAL(groups_count(all), 0);
    TEST_OK(groups_begin(all, 1, 2, true, &group));
    TEST_NOT_EQUAL(group->id, id);
    TEST_OK(groups_join(all, group, 5, false)); /* open */
    groups_destroy(all);
}

TEST(test_groups_limits_are_named)
{
    groups* all = NULL;
    groups_group* group = NULL;
    TEST_OK(groups_create(GROUPS_OF_PLAYER_MAX + 1, &all));
    TEST_EQUAL(groups_begin(all, 0, 4, true, &group), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(groups_begin(all, 1, 1, true, &group), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(groups_begin(all, 1, GROUPS_MEMBERS_MAX + 1, true, &group), NECPNET_ERR_INVALID_ARGUMENT);
    for (int i = 0; i < GROUPS_OF_PLAYER_MAX; i++) TEST_OK(groups_begin(all, 1, 4, true, &group));
    TEST_EQUAL(groups_begin(all, 1, 4, true, &group), NECPNET_ERR_LIMIT_REACHED);
    TEST_OK(groups_begin(all, 2, 4, true, &group));
    TEST_EQUAL(groups_join(all, group, 1, false), NECPNET_ERR_LIMIT_REACHED);
    TEST_EQUAL(groups_begin(all, 3, 4, true, &group), NECPNET_ERR_LIMIT_REACHED);
    for (necpnet_player i = 0; i < GROUPS_INVITED_MAX; i++) TEST_OK(groups_invite(group, 100 + i));
    TEST_EQUAL(groups_invite(group, 99), NECPNET_ERR_LIMIT_REACHED);
    int count = 0;
    for (groups_group* one = groups_of(all, 1, NULL); one; one = groups_of(all, 1, one)) count++;
    TEST_EQUAL(count, GROUPS_OF_PLAYER_MAX);
    groups_destroy(all);
    groups_destroy(NULL);
}

TEST(test_groups_another_node_takes_what_is_newer_and_counts_on_from_there)
{
    groups *home = NULL, *other = NULL;
    groups_group *group = NULL, *copy = NULL, older;
    bool ended = false;
    TEST_OK(groups_create(3, &home));
    TEST_OK(groups_create(3, &other));
    TEST_OK(groups_begin(home, 1, 4, false, &group));
    groups_touch(group);
    TEST_OK(groups_take(other, group, &copy));
    TEST_CHECK(copy != group && groups_find(other, group->id) == copy);
    TEST_EQUAL(groups_take(other, group, &copy), NECPNET_ERR_ALREADY_EXISTS);
    older = *group;
    TEST_OK(groups_join(home, group, 2, true));
    TEST_OK(groups_invite(group, 3));
    groups_touch(group);
    TEST_OK(groups_take(other, group, &copy));
    TEST_CHECK(groups_has(copy, 2));
    TEST_EQUAL(copy->invited_count, 1);
    TEST_EQUAL(groups_take(other, &older, &copy), NECPNET_ERR_ALREADY_EXISTS);
    TEST_CHECK(groups_has(copy, 2));
    /* the node that changed groups is lost: another one goes on, and no id comes twice */
    groups_group* next = NULL;
    TEST_OK(groups_begin(other, 5, 4, true, &next));
    TEST_GREATER(next->id, group->id);
    TEST_OK(groups_leave(other, copy, 1, &ended));
    TEST_EQUAL(copy->leader, 2);
    groups_group gone = {.id = copy->id, .version = copy->version + 1};
    TEST_OK(groups_take(home, &gone, &copy));
    TEST_CHECK(!copy && groups_count(home) == 0);
    TEST_OK(groups_take(home, &gone, &copy)); /* of one that was never known: nothing */
    TEST_EQUAL(groups_count(home), 0);
    groups_destroy(home);
    groups_destroy(other);
}

TEST(test_groups_what_another_node_says_is_held_to_the_limits)
{
    groups* all = NULL;
    groups_group *group = NULL, state = {.id = 7, .version = 1, .size_max = 2, .leader = 1, .count = 1, .members = {1}};
    TEST_OK(groups_create(1, &all));
    state.count = GROUPS_MEMBERS_MAX + 1;
    TEST_EQUAL(groups_take(all, &state, &group), NECPNET_ERR_INVALID_ARGUMENT);
    state.count = 1;
    state.invited_count = GROUPS_INVITED_MAX + 1;
    TEST_EQUAL(groups_take(all, &state, &group), NECPNET_ERR_INVALID_ARGUMENT);
    state.invited_count = 0;
    TEST_OK(groups_take(all, &state, &group));
    state.id = 8;
    TEST_EQUAL(groups_take(all, &state, &group), NECPNET_ERR_LIMIT_REACHED);
    state.id = 0;
    TEST_EQUAL(groups_take(all, &state, &group), NECPNET_ERR_INVALID_ARGUMENT);
    int count = 0;
    for (groups_group* one = groups_next(all, NULL); one; one = groups_next(all, one)) count++;
    TEST_EQUAL(count, 1);
    groups_destroy(all);
}

TEST_MAIN
