/* nn_follower - one client that follows a world: what it is known to have, what it needs, and the STATE frames for it.
 *
 * Made by the connection when a session with a world is up, ended before the connection goes. All calls on the world's
 * thread. src/PROTOCOL.md "State" has the frame.
 */
#ifndef NN_FOLLOWER_H
#define NN_FOLLOWER_H

#include "nn_bytes.h"
#include "nn_world.h"

#define NN_STATE_FRAME_BYTES_MIN 40 /* a budget below this writes nothing */
#define NN_FOLLOWER_RECORDS_MAX 256 /* frames neither acked nor lost; then nothing is written until one is */

/* nn_world_follow - a new client of the world.
 *
 *   ordered  true: nothing is lost (WebSocket); what was written last is the baseline, acked and lost are not called.
 *            false: baselines move by nn_follower_acked.
 *
 * Returns OK | ERR_ALREADY_EXISTS (peer) | ERR_OUT_OF_MEMORY
 */
NN_PRIVATE necpnet_result nn_world_follow(necpnet_world* world, necpnet_peer peer, bool ordered,
                                          nn_follower** out_follower);

/* nn_world_unfollow - the client is gone; entities that it owns stay its own until the application says otherwise. */
NN_PRIVATE void nn_world_unfollow(necpnet_world* world, nn_follower* follower);

/* nn_follower_deadline_us - when the next frame is due; NN_NEVER while there is nothing to say (a commit, an ack or a
 * loss may change that). */
NN_PRIVATE uint64_t nn_follower_deadline_us(const nn_follower* follower);

/* nn_follower_ready - whether a frame is due now. */
NN_PRIVATE bool nn_follower_ready(const nn_follower* follower, uint64_t now_us);

/* nn_follower_write - one whole STATE frame: type byte, length, body.
 *
 *   writer        room for budget_bytes at least, else the room is the budget.
 *   budget_bytes  the most that the frame may take; the world's client_bytes_per_s limits it further.
 *   out_value     names the frame in nn_follower_acked or nn_follower_lost, one of which must come exactly once
 *                 (unordered alone).
 *
 * Returns whether a frame was written; else the writer is as it was.
 */
NN_PRIVATE bool nn_follower_write(nn_follower* follower, nn_writer* writer, size_t budget_bytes, uint32_t* out_value,
                                  uint64_t now_us);

/* nn_follower_acked, nn_follower_lost - what became of the packet with that frame. A packet first taken for lost and
 * then acked after all must be reported once, as lost. */
NN_PRIVATE void nn_follower_acked(nn_follower* follower, uint32_t value);
NN_PRIVATE void nn_follower_lost(nn_follower* follower, uint32_t value);

#endif
