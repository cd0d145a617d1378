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

TEST_MAIN
