/* gateway_waiting - what a session asked of a topic that another node counts: an event on its way, a subscription whose topic is
 * still to come. The call is answered when that node has, or when it is clear that it will not.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"

struct gateway_waiting {
    gateway_waiting* next;
    gateway_waiting** link;
    gateway* owner;
    rpc_later* later; /* NULL: asked otherwise than by a call */
    char session[GATEWAY_SESSION_ID_BYTES];
    uint64_t client_id;
    uint64_t key; /* of a publish; 0: none */
    bool subscribes;
    bool repeats; /* a publish with the key of another that is under way: answered with it */
    bool has_since;
    topics_position since;
    gateway_hello* hello; /* of a session that comes with the topic; NULL: a call of its own */
    char topic[TOPICS_NAME_BYTES_MAX + 1];
};

static gateway_waiting* waiting_begin(gateway_session* session, const char* topic, rpc_later* later)
{
    gateway* at = session->owner;
    gateway_waiting* made = calloc(1, sizeof(*made));
    if (!made) {
        rpc_abandon(later);
        return NULL;
    }
    made->owner = at;
    made->later = later;
    made->client_id = session->client_id;
    memcpy(made->session, session->id, sizeof(made->session));
    memcpy(made->topic, topic, strlen(topic) + 1);
    made->next = at->waiting;
    made->link = &at->waiting;
    if (at->waiting) at->waiting->link = &made->next;
    at->waiting = made;
    return made;
}

static void waiting_end(gateway_waiting* one)
{
    *one->link = one->next;
    if (one->next) one->next->link = one->link;
    free(one);
}

void gateway_forget_waiting(gateway* at)
{
    while (at->waiting) {
        rpc_abandon(at->waiting->later);
        waiting_end(at->waiting);
    }
}

static gateway_session* waiting_session(const gateway_waiting* one)
{
    gateway_session* session = gateway_first_of(one->owner, one->client_id);
    while (session && (session->client_id != one->client_id || strcmp(session->id, one->session) != 0))
        session = session->chain;
    return session;
}

/* An answer to a call, and what was held back meanwhile behind it. */
static void waiting_tell(gateway_waiting* one, gateway_session* session, int code, const char* message,
                         const char* result)
{
    text out;
    if (session) session->holding = false;
    text_begin_growing(&out);
    if (one->later && session) {
        rpc_finish(one->later, code, message, result, &out);
        if (!out.failed && out.bytes) (void)gateway_send_text(session, out.to, out.bytes);
    } else if (one->later) {
        rpc_abandon(one->later);
    }
    one->later = NULL;
    text_end(&out);
    if (session && session->subscriber.behind) (void)topics_catch_up(one->owner->hub, &session->subscriber);
}

static void waiting_put_position(text* out, topics_position position, const char* more)
{
    text_format(out, "{\"epoch\":%llu,\"offset\":%llu%s}", (unsigned long long)position.epoch,
                (unsigned long long)position.offset, more);
}

/* The event was published, or was not. Those that repeat it hear the same. */
static void waiting_published(gateway_waiting* one, relay_result result, topics_position position)
{
    gateway* at = one->owner;
    gateway_session* session = waiting_session(one);
    char buffer[128];
    text said;
    text_begin(&said, buffer, sizeof(buffer));
    waiting_put_position(&said, position, "");
    int code = result == RELAY_DONE ? RPC_OK : result == RELAY_REFUSED ? RPC_LIMIT_REACHED : RPC_UNAVAILABLE;
    const char* why = result == RELAY_REFUSED ? "the topic's node has no room for it"
                                              : "the topic's node does not answer: whether the event was published is "
                                                "not known";
    if (session && one->key && code == RPC_OK) gateway_keep_key(session, one->key, position);
    for (gateway_waiting *other = one->key ? at->waiting : NULL, *next; other; other = next) {
        next = other->next;
        if (!other->repeats || other->key != one->key || strcmp(other->session, one->session) != 0) continue;
        waiting_tell(other, session, code, why, said.to);
        waiting_end(other);
    }
    waiting_tell(one, session, code, why, said.to);
}

/* The topic is here, or will not come. */
static void waiting_subscribed(gateway_waiting* one, relay_result result)
{
    gateway* at = one->owner;
    gateway_session* session = waiting_session(one);
    topics_topic* topic = result == RELAY_DONE ? topics_find(at->hub, one->topic) : NULL;
    bool recovered = false;
    char buffer[128];
    text said;
    text_begin(&said, buffer, sizeof(buffer));
    const char* refusal = session ? gateway_judge_topic(at, session, one->topic, GATEWAY_SUBSCRIBES) : NULL;
    if (!session) {
        waiting_tell(one, NULL, RPC_OK, "", "");
    } else if (!topic) {
        bool full = result == RELAY_REFUSED;
        waiting_tell(one, session, full ? RPC_LIMIT_REACHED : RPC_UNAVAILABLE,
                     full ? necpnet_result_text(NECPNET_ERR_LIMIT_REACHED) : "the topic's node does not answer", "");
    } else if (refusal) { /* by now */
        waiting_tell(one, session, RPC_FORBIDDEN, refusal, "");
    } else {
        session->holding = true; /* the answer comes first */
        necpnet_result done = topics_subscribe(at->hub, topic, &session->subscriber,
                                               one->has_since ? &one->since : NULL, at->now_us, &recovered);
        waiting_put_position(&said, topics_get_position(topic),
                             recovered ? ",\"recovered\":true" : ",\"recovered\":false");
        waiting_tell(one, session, gateway_code_of(done), necpnet_result_text(done), said.to);
    }
}

void gateway_on_answer(void* ticket, relay_result result, topics_position position, void* user)
{
    gateway_waiting* one = ticket;
    (void)user;
    if (one->hello) {
        gateway_hello_topic(one->hello, one->topic, &one->since, result);
    } else if (one->subscribes) {
        waiting_subscribed(one, result);
    } else {
        waiting_published(one, result, position);
    }
    waiting_end(one);
}

bool gateway_wait_publish(gateway_session* from, const char* topic, uint64_t key, rpc_later* later,
                          gateway_waiting** out_waiting)
{
    gateway* at = from->owner;
    const gateway_waiting* first = key ? at->waiting : NULL;
    while (first && (first->key != key || strcmp(first->session, from->id) != 0)) first = first->next;
    *out_waiting = waiting_begin(from, topic, later);
    if (!*out_waiting) return false;
    (*out_waiting)->key = key;
    (*out_waiting)->repeats = first != NULL;
    return first == NULL;
}

gateway_waiting* gateway_wait_subscribe(gateway_session* from, const char* topic, const topics_position* since,
                                        rpc_later* later)
{
    gateway_waiting* made = waiting_begin(from, topic, later);
    if (!made) return NULL;
    made->subscribes = true;
    made->has_since = since != NULL;
    if (since) made->since = *since;
    return made;
}

gateway_waiting* gateway_wait_arrival(gateway_session* session, const char* topic, const topics_position* since,
                                      gateway_hello* hello)
{
    gateway_waiting* made = gateway_wait_subscribe(session, topic, since, NULL);
    if (made) made->hello = hello;
    return made;
}
