/* moves.h - sessions that go from one node to another: a machine without network and clock, for one thread; one on each node.
 *
 * A client that comes back to another node than the one that has its session claims it there. The owner writes it down, holds it
 * back from everybody else and gives it; the claimant says whether it took it, and the owner ends or keeps its own. A session is
 * given to one claimant alone, whatever is lost on the way, comes twice or comes late: what became of one that nobody said anything
 * about for MOVES_HELD_US is not known, and it ends.
 */
#ifndef SERVER_MOVES_H
#define SERVER_MOVES_H

#include "necpnet.h"
#include "text.h"

#define MOVES_WIRE 2u              /* the first byte of all that moves say; a relay's is 1 */
#define MOVES_ASK_US 500000u       /* between claims of one session */
#define MOVES_DEADLINE_US 3000000u /* for its owner's answer */
#define MOVES_HELD_US 10000000u    /* a session that was given and of which nothing was heard */
#define MOVES_CLAIMS_MAX 16384u    /* of this node, unanswered; and sessions given at once */
#define MOVES_RECORD_BYTES_MAX (256u << 10)
#define MOVES_ID_BYTES 33     /* 32 characters and NUL */
#define MOVES_TICKET_BYTES 49 /* 48 characters and NUL */

typedef struct moves moves;

typedef enum moves_result {
    MOVES_DONE = 0,
    MOVES_UNKNOWN = 1,  /* its owner has no such session for this ticket, or gave it to another */
    MOVES_LATE = 2,     /* no answer in MOVES_DEADLINE_US */
    MOVES_NODE_GONE = 3 /* the owner is gone, and the session with it */
} moves_result;

/* Whose it is, and the proof. */
typedef struct moves_key {
    uint64_t client_id;
    char session[MOVES_ID_BYTES];
    char ticket[MOVES_TICKET_BYTES];
} moves_key;

typedef struct moves_config {
    uint64_t self; /* origin */
    /* Bytes to another node's moves_hear; they may be lost. */
    void (*send)(uint64_t to, const void* data, size_t bytes, void* user);
    /* The owner's: writes a session down, and holds it back from now on. False: there is none for this key. */
    bool (*give)(const moves_key* key, text* record, void* user);
    /* What becomes of it: it is gone (taken: it went on elsewhere), or it waits on as before. Called once for each give. */
    void (*settle)(const moves_key* key, bool gone, bool taken, void* user);
    /* The claimant's: what became of a claim; called once for each. record: of one that is DONE. Returns whether it was taken. */
    bool (*answer)(void* ticket, moves_result result, const void* record, size_t bytes, void* user);
    void* user;
} moves_config;

typedef struct moves_figures {
    uint32_t claims; /* unanswered */
    uint32_t held;   /* given, and not settled */
    uint64_t taken;  /* from other nodes */
    uint64_t given;  /* to them */
    uint64_t unknown;
    uint64_t late; /* or their owner was gone */
} moves_figures;

/* moves_create
 *
 * Returns  OK | ERR_OUT_OF_MEMORY */
necpnet_result moves_create(const moves_config* config, moves** out_moves);

/* moves_destroy - claims get no answer, held sessions are not settled. NULL does nothing. */
void moves_destroy(moves* at);

/* moves_claim - ask a session's owner for it; config.answer tells.
 *
 * Returns  OK | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY (then answer is not called) */
necpnet_result moves_claim(moves* at, uint64_t owner, const moves_key* key, void* ticket, uint64_t now_us);

/* moves_hear - what another node's moves sent. */
void moves_hear(moves* at, uint64_t from, const void* data, size_t bytes, uint64_t now_us);

/* moves_lose_node - it is gone. */
void moves_lose_node(moves* at, uint64_t origin);

/* moves_work - time passes. */
void moves_work(moves* at, uint64_t now_us);

void moves_get_figures(const moves* at, moves_figures* out_figures);

#endif
