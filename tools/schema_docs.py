#!/usr/bin/env python3
"""schema_docs.py - docs/events.md out of schemas/: every entity type and event, field by field.

    tools/schema_docs.py           write it
    tools/schema_docs.py --check   exit 1 if it is not what the schemas say (CI)
"""
import glob
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(ROOT, "docs/events.md")
FLAGS = {"interpolate": "interpolated", "required": "required", "slow": "slow class", "ownerOnly": "owner only",
         "notOwner": "not to the owner", "position": "position for interest",
         "serverWrites": "written by the server alone", "parent": "what carries it"}


def form(field):
    """Kind, and how many of it."""
    if "count" not in field or field["kind"] in ("string", "bytes"):
        return field["kind"]
    return "%s, %s%d" % (field["kind"], "up to " if field.get("bounded") else "", field["count"])


def limits(field):
    """Range, step and size in words."""
    kind = field["kind"]
    if kind == "enum" and "values" in field:
        return ", ".join("%d %s" % pair for pair in enumerate(field["values"]))
    if kind in ("integer", "enum"):
        return "%s .. %s" % (field.get("min", 0), field["max"])
    if kind in ("float", "vec2", "vec3"):
        return "%s .. %s by %s" % (field["min"], field["max"], field["step"])
    if kind in ("quat", "angle"):
        return "by %s" % field["step"]
    if kind in ("string", "bytes"):
        return "%s%d bytes" % ("up to " if field.get("bounded") else "", field["count"])
    return ""


def table(out, thing):
    out.append("\n### %s (%d)\n" % (thing["name"], thing["id"]))
    if thing.get("about"):
        out.append(thing["about"] + "\n")
    out.append("| id | field | kind | range | notes |\n| --- | --- | --- | --- | --- |")
    for field in sorted(thing["fields"], key=lambda one: one["id"]):
        notes = [FLAGS[name] for name in FLAGS if field.get(name)]
        if field.get("rate"):
            notes.append("%d Hz" % field["rate"])
        if field.get("about"):
            notes.append(field["about"])
        out.append("| %d | `%s` | %s | %s | %s |" % (field["id"], field["name"], form(field), limits(field), "; ".join(notes)))


def words(rule):
    """What a value of a JSON Schema may be, in words."""
    parts = []
    if "enum" in rule:
        parts.append(", ".join(json.dumps(one) for one in rule["enum"]))
    for low, high, unit in (("minimum", "maximum", ""), ("minLength", "maxLength", " characters"), ("minItems", "maxItems", " items")):
        if low in rule and high in rule:
            parts.append("%s .. %s%s" % (rule[low], rule[high], unit))
        elif low in rule:
            parts.append("at least %s%s" % (rule[low], unit))
        elif high in rule:
            parts.append("at most %s%s" % (rule[high], unit))
    return "; ".join(parts)


def properties(out, rule, prefix=""):
    for name, one in sorted(rule.get("properties", {}).items(), key=lambda pair: pair[1]["x-id"]):
        kind = one["type"]
        if kind == "array":
            kind = "array of " + one["items"]["type"]
        elif kind == "object" and "properties" not in one:
            kind = "object, any"
        needed = "required" if name in rule.get("required", []) else ""
        out.append("| %d | `%s%s` | %s | %s | %s | %s |" %
                   (one["x-id"], prefix, name, kind, words(one), needed, one.get("description", "")))
        properties(out, one, prefix + name + ".")
        properties(out, one.get("items", {}), prefix + name + "[].")


def events(out):
    """The events of necpnet-server."""
    out.append("\n## Events of necpnet-server\n")
    out.append("JSON Schemas in `schemas/events`, one a type and version; `event_directory` of the server adds others. As JSON an event\n"
               "is `{\"type\", \"version\", \"category\", \"time\", \"from\", \"data\"}`; as bytes what Protocol Buffers write, with these ids as\n"
               "field numbers (boolean bool, integer sint64, number double, array repeated, an object of any form its JSON as string), inside\n"
               "an envelope: topic 1 string, epoch 2 uint64, offset 3 uint64, number of the type 4 uint32, version 5 uint32, time 6 uint64\n"
               "(milliseconds since 1970), from 7 string, data 8 message. How they are sent: `server/README.md`.")
    found = []
    for path in glob.glob(os.path.join(ROOT, "schemas/events/*.json")):
        with open(path, encoding="utf-8") as file:
            found.append(json.load(file))
    for one in sorted(found, key=lambda schema: (schema["x-id"], schema["x-version"])):
        out.append("\n### %s, version %d (%d)\n" % (one["title"], one["x-version"], one["x-id"]))
        out.append("%s Published by: %s.\n" % (one["description"], ", ".join(one["x-publish"])))
        out.append("| id | property | type | values | | |\n| --- | --- | --- | --- | --- | --- |")
        properties(out, one)


def page():
    out = ["# Entity types and events",
           "\nMade by `tools/schema_docs.py` from `schemas/`; change those. `necpnet schema print FILE` adds what each",
           "field costs on the wire; `necpnet schema check FILE OLDER` says who can follow whom."]
    for path in sorted(glob.glob(os.path.join(ROOT, "schemas/*.json"))):
        with open(path, encoding="utf-8") as file:
            schema = json.load(file)
        out.append("\n## %s\n" % os.path.relpath(path, ROOT))
        if schema.get("about"):
            out.append(schema["about"])
        for thing in schema.get("types", []) + schema.get("events", []):
            table(out, thing)
    events(out)
    return "\n".join(out) + "\n"


def main():
    text = page()
    if "--check" in sys.argv[1:]:
        with open(OUT, encoding="utf-8") as file:
            if file.read() != text:
                print("docs/events.md is not what schemas/ says.\n  fix: tools/schema_docs.py")
                return 1
        return 0
    with open(OUT, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
