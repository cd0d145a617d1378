#!/usr/bin/env python3
"""plant_bugs - proof that the simulated world sees: bugs of the kinds that others had, planted one at a time.

usage: tools/plant_bugs.py [--check] [--seeds N] [NAME_PART]

Each bug is one text of one part in src/ put in place of another. The world is built with it and run until a seed fails; a bug that
N seeds (60) do not show is a blind spot, and fails. --check builds nothing: every text must still be there, exactly once.
"""

import argparse
import os
import subprocess
import sys
import time

import sim_build

# name, part, the text, what stands in its place
BUGS = [
    ("an acknowledgement covers one packet too many", "src/nn_recovery.c",
     "    range->low = high + 1 - length;\n",
     "    range->low = high + 1 - length > 0 ? high - length : 0;\n"),
    ("packets are taken twice", "src/nn_acks.c",
     "    return number >= acks_oldest(acks) && !acks_seen(acks, number);\n",
     "    return number >= acks_oldest(acks);\n"),
    ("messages that came early are not remembered", "src/nn_channel_receive.c",
     "    if (nn_channel_receive_has(channel, id)) return CHANNEL_OLD;\n",
     ""),
    ("sequenced messages compare the wrong way", "src/nn_channel_receive.c",
     "nn_sequence_distance(id, channel->next) < 0 ? CHANNEL_OLD : CHANNEL_NEW;",
     "nn_sequence_distance(id, channel->next) > 4 ? CHANNEL_OLD : CHANNEL_NEW;"),
    ("a lost packet's last message is not sent again", "src/nn_session.c",
     "            nn_channel_send_lost(sender, frame->id, frame->value);\n",
     "            nn_channel_send_lost(sender, frame->id, frame->value - 1);\n"),
    ("lost fragments are not sent again", "src/nn_session.c",
     "            nn_channel_send_fragment_lost(sender, frame->id, frame->value);\n",
     "            (void)frame;\n"),
    ("a message in fragments is whole one unit early for its sender", "src/nn_fragments.c",
     "    return fragments->acked->count == fragments->acked->units;\n}\n\nNN_PRIVATE void nn_fragments_lost(",
     "    return fragments->acked->count + 1 >= fragments->acked->units;\n}\n\nNN_PRIVATE void nn_fragments_lost("),
    ("the receiver's credit forgets what names cost", "src/nn_channel_receive.c",
     "    channel->credit_announced = channel->credit_consumed + channel->config->window_bytes + NN_CREDIT_EXTRA_BYTES;\n",
     "    channel->credit_announced = channel->credit_consumed + channel->config->window_bytes / 2;\n"),
    ("a sender does not count what it sends against its credit", "src/nn_channel_send.c",
     "        if (nn_channel_has_credit(channel->config->mode)) channel->credit_used += entry->payload->cost;\n",
     ""),
    ("RECEIVED leaves one message out", "src/nn_session_read.c",
     "    uint16_t count = (uint16_t)(next - sender->first);\n",
     "    uint16_t count = (uint16_t)(next - sender->first - 1);\n"),
    ("an input is delivered each time it comes", "src/nn_inputs.c",
     "        if (!deliver || (receiver->has_tick && tick <= receiver->tick)) continue;\n",
     "        if (!deliver) continue;\n"),
    ("a lost session tells less than it lost", "src/nn_session.c",
     "        count += ordered ? (uint16_t)(sender->next - sender->first) : sender->queue_messages;\n",
     "        (void)ordered;\n        count += sender->queue_messages;\n"),
    ("a second answer to one AUTH has the keys of the first", "src/nn_handshake_server.c",
     "nn_entropy_fill(&server->entropy, public_key, NN_X25519_BYTES) ? NECPNET_OK",
     "server ? NECPNET_OK"),
    ("packet numbers begin again after some hundreds", "src/nn_connection_send.c",
     "packet, header_bytes, frames_bytes, number);\n    const necpnet_transport* transport",
     "packet, header_bytes, frames_bytes, number % 500);\n    const necpnet_transport* transport"),
    ("lost states are taken for received ones", "src/nn_follower.c",
     "    follower_settle_timed(follower, value, false);\n",
     "    follower_settle_timed(follower, value, true);\n"),
    ("half received messages are not given back", "src/nn_channel_receive.c",
     "    while (channel->assemblies) channel_end_assembly(channel, channel->assemblies);\n",
     ""),
    ("a shared write against an old state is no conflict", "src/nn_follower_writes.c",
     "    if (write->base_tick < (own ? slot->foreign_tick :",
     "    if (write->base_tick + 100 < (own ? slot->foreign_tick :"),
]


def check(bugs):
    """How many texts are not there exactly once, in their part and in necpnet.c."""
    wrong = 0
    for name, part, before, after in bugs:
        for path in (part, "necpnet.c"):
            with open(os.path.join(sim_build.ROOT, path), encoding="utf-8") as file:
                found = file.read().count(before)
            if found != 1:
                wrong += 1
                print("plant_bugs.py: %s: its text is %d times in %s\n  fix: choose the text anew in tools/plant_bugs.py"
                      % (name, found, path))
    return wrong


def caught(number, bug, seeds):
    """What the world says of a bug; None if nothing."""
    name, _, before, after = bug
    folder = os.path.join(sim_build.ROOT, "build/plants/%02d" % number)
    program = os.path.join(folder, "world")
    said = sim_build.compile_to(program, sim_build.write(folder, [(before, after)]), ["gcc", "-O1", "-g0"], ["-lm"])
    if said:
        return None, "it does not build:\n" + said
    ran = subprocess.run([program, "--seeds", str(seeds)], capture_output=True, text=True)
    said = ran.stdout + ran.stderr
    lines = [line for line in said.splitlines() if "seed" in line and "make sim" not in line and " again:" not in line]
    lines += [line for line in said.splitlines() if "ssert" in line or "broke down" in line]
    return ran.returncode != 0, (lines or [""])[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("name", nargs="?", default="")
    options = parser.parse_args()
    wrong = check(BUGS)
    if options.check or wrong:
        print("%d passed, %d failed" % (len(BUGS) - wrong, wrong))
        return 1 if wrong else 0
    passed = failed = 0
    seen, said = caught(len(BUGS), ("no bug", "", "\n", "\n"), options.seeds)
    if seen is not False:
        print("plant_bugs.py: the world fails without a bug, so it proves nothing: " + said)
        return 1
    for number, bug in enumerate(BUGS):
        if options.name not in bug[0]:
            continue
        began = time.monotonic()
        right, said = caught(number, bug, options.seeds)
        passed, failed = passed + bool(right), failed + (not right)
        print("%-7s %-62s %3.0f s\n        %s" % ("caught" if right else "UNSEEN", bug[0], time.monotonic() - began,
                                               said.split("keeps_its_promises: ")[-1]), flush=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
