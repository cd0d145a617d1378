#!/usr/bin/env python3
"""cli_schema - `necpnet schema`: print, check and convert, there and back through .proto, and how it refuses."""
import json
import os
import subprocess
import sys
import tempfile

BUILD = os.environ.get("NECPNET_BUILD") or ("build/release" if os.path.exists("build/release/bin/necpnet") else "build/dev")
passed = failed = 0


def run(*arguments):
    done = subprocess.run([BUILD + "/bin/necpnet", "schema", *arguments], text=True, capture_output=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


def check(what, good, more=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print("%s %s%s" % ("ok  " if good else "FAIL", what, "" if good else ": " + str(more)))


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


SCHEMA = {"types": [{"name": "ship", "id": 5, "fields": [
    {"name": "position", "id": 1, "kind": "vec3", "min": -100, "max": 100, "step": 0.01, "interpolate": True, "required": True, "position": True},
    {"name": "spin", "id": 2, "kind": "quat", "step": 0.001},
    {"name": "heat", "id": 3, "kind": "float", "min": -0.5, "max": 1.5, "step": 0.25, "double": True, "notOwner": True},
    {"name": "aim", "id": 4, "kind": "angle", "step": 0.01, "rate": 4},
    {"name": "score", "id": 5, "kind": "integer", "min": -5000000000, "max": 5000000000, "slow": True},
    {"name": "team", "id": 6, "kind": "enum", "max": 3, "serverWrites": True},
    {"name": "on", "id": 7, "kind": "bool"},
    {"name": "target", "id": 8, "kind": "entity", "parent": True},
    {"name": "nick", "id": 9, "kind": "string", "count": 24},
    {"name": "flags", "id": 10, "kind": "bool", "count": 3},
    {"name": "marks", "id": 11, "kind": "vec2", "min": -5, "max": 5, "step": 0.5, "count": 8, "bounded": True, "double": True},
    {"name": "crew", "id": 12, "kind": "entity", "count": 4, "bounded": True},
    {"name": "log", "id": 13, "kind": "bytes", "count": 9, "bounded": True},
    {"name": "keys", "id": 300, "kind": "bytes", "count": 6, "ownerOnly": True}]}]}

PROTO = """syntax = "proto3";
package game.v1; option optimize_for = SPEED;
enum Team { TEAM_RED = 0; TEAM_BLUE = 1; TEAM_NONE = 4; }
/* Two messages. */
message Ship {
  reserved 7, 9 to 11;
  enum Mode { IDLE = 0; BUSY = 1; }
  // @necpnet kind=vec2 min=-10 max=10 step=0.5 required
  repeated float position = 1;
  string name = 2 [deprecated = true];  // @necpnet count=16
  int32 depth = 3;
  Team team = 4;
  Mode mode = 5;
  uint64 score = 6; // of this life
  /* @necpnet min=0
     @necpnet max=1 step=0.1 */
  double heat = 8;
  repeated int32 ammunition = 20; // @necpnet count=6 min=0 max=999
  repeated Team teams = 21; // @necpnet count=5 bounded
  repeated float path = 22; // @necpnet kind=vec3 min=0 max=9 step=1 count=4 bounded
}
// @necpnet id=77
message Door { bool open = 1; }
"""

BAD = [
    ("message A { float x = 1; }", "a.proto:1: field x: put // @necpnet min=.. max=.. step=.."),
    ("message A { string x = 1; }", "field x: put // @necpnet count=.."),
    ("message A { B b = 1; }", "field b: type B is neither a scalar nor an enum"),
    ("message A { map<int32, int32> m = 1; }", "'map' in a message"),
    ("message A { oneof x { int32 a = 1; } }", "'oneof' in a message"),
    ("message A { message B { } }", "'message' in a message"),
    ("message A { repeated int32 x = 1; }", "field x: put // @necpnet count=.."),
    ("message A { // @necpnet count=3\n int32 x = 1; }", "field x: kind=vec2, vec3, quat and arrays (count=..) need repeated"),
    ("message A { // @necpnet count=3\n repeated string x = 1; }", "field x: strings and bytes cannot be repeated"),
    ("message A { // @necpnet bounded\n int32 x = 1; }", "field x (1): only an ARRAY or BYTES can be BOUNDED"),
    ("message A { // @necpnet count=256\n repeated int32 x = 1; }", "field x: count is out of range"),
    ("message A { int32 x = 0; }", "'0' is no number of 1 .. 65535"),
    ("message A { int32 x = 1;", "a message without an end"),
    ("message A { int32 x }", "'=' is expected, not '}'"),
    ('syntax = "proto2";', "syntax must be proto3"),
    ('import "x.proto";', "'import' has no place in a schema"),
    ("service S { }", "'service' has no place"),
    ("", "there is no message"),
    ("// @necpnet min=3\nmessage A { }", "fields must be a list"),
    ("message A { // @necpnet colour=3\n int32 x = 1; }", "a.proto:2: field x: 'colour' is no word of @necpnet"),
    ("message A { // @necpnet min=x\n int32 x = 1; }", "field x: min=x is no number"),
    ("message A { // @necpnet kind=blob\n int32 x = 1; }", "field x: blob is no kind"),
    ("message A { // @necpnet min=9 max=3\n int32 x = 1; }", "field x (1): max must be greater than min"),
    ("message A { int32 x = 1; int32 y = 1; }", "field y (1): another field of the type has the same id"),
    ("/* message A", "a comment without an end"),
]


def main():
    with tempfile.TemporaryDirectory() as folder:
        ship = write(folder, "ship.json", json.dumps(SCHEMA))
        code, out, _ = run("print", ship)
        check("print", code == 0 and "ship (5), struct of" in out and "vec3     -100 .. 100 by 0.01" in out and "45 bits" in out, out)
        same = os.path.join(folder, "same.proto")
        back = os.path.join(folder, "back.json")
        check("json to proto", run("convert", ship, same)[0] == 0)
        check("proto to json", run("convert", same, back)[0] == 0)
        code, out, _ = run("check", back, ship)
        check("there and back is the same", code == 0 and "the same on the wire: yes" in out, out)
        with open(back, encoding="utf-8") as file:
            fields = {field["id"]: field for field in json.load(file)["types"][0]["fields"]}
        lost = [field for field in SCHEMA["types"][0]["fields"] if fields.get(field["id"]) != field]
        check("with every word of every field", not lost, [(field, fields.get(field["id"])) for field in lost])
        arena = os.path.join(folder, "arena.proto")
        check("the arena to proto", run("convert", "schemas/arena.json", arena)[0] == 0)
        check("and the same again", "the same on the wire: yes" in run("check", arena, "schemas/arena.json")[1])

        game = write(folder, "game.proto", PROTO)
        code, out, error = run("print", game)
        check("a proto of others", code == 0, error)
        for line in ("Ship (1)", "Door (77)", "vec2     -10 .. 10 by 0.5", "string   16 bytes", "-2147483648 .. 2147483647",
                     "enum     0 .. 4", "enum     0 .. 1", "0 .. 9007199254740992", "float    0 .. 1 by 0.1",
                     "integer[6] 0 .. 999", "enum[<=5] 0 .. 4", "vec3[<=4] 0 .. 9 by 1", "51 bits  bounded"):
            check("has " + line, line in out, out)

        newer = json.loads(json.dumps(SCHEMA))
        fields = newer["types"][0]["fields"]
        fields.append({"name": "extra", "id": 301, "kind": "bool"})
        fields[4]["max"] = 9
        del fields[3]
        path = write(folder, "newer.json", json.dumps(newer))
        code, out, _ = run("check", path, ship)
        check("a newer version is followed", code == 0 and "ship.extra (301) is new" in out and "ship.aim (4) was there, is gone" in out
              and "ship.score (5) was" in out and out.count(": yes") == 2, out)
        fields[0]["kind"] = "vec2"
        path = write(folder, "broken.json", json.dumps(newer))
        code, out, _ = run("check", path, ship)
        check("a broken one is named", code == 1 and "type ship (5), field position (1): required, and of kind" in out, out)

        for text, expected in BAD:
            code, _, error = run("check", write(folder, "a.proto", text))
            check("refuses " + (text or "nothing").split("\n")[0], code == 1 and expected in error, error)
        for arguments in ((), ("print",), ("convert", ship), ("check",), ("paint", ship), ("convert", ship, "x.c")):
            check("usage: schema " + " ".join(arguments), run(*arguments)[0] == 2)
        code, _, error = run("print", os.path.join(folder, "none.json"))
        check("a file that is not there", code == 1 and "No such file" in error, error)
    done = subprocess.run([sys.executable, "tools/schema_docs.py", "--check"], text=True, capture_output=True)
    check("docs/events.md is fresh", done.returncode == 0, done.stdout)
    print("%d passed, %d failed" % (passed, failed))
    return failed != 0


sys.exit(main())
