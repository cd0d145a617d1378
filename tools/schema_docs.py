#!/usr/bin/env python3
"""schema_docs.py - docs/events.md out of schemas/*.json: every entity type and event, field by field.

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
         "notOwner": "not to the owner", "position": "position for interest"}


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


def page():
    out = ["# Entity types and events",
           "\nMade by `tools/schema_docs.py` from `schemas/*.json`; change those. `necpnet schema print FILE` adds what each",
           "field costs on the wire; `necpnet schema check FILE OLDER` says who can follow whom."]
    for path in sorted(glob.glob(os.path.join(ROOT, "schemas/*.json"))):
        with open(path, encoding="utf-8") as file:
            schema = json.load(file)
        out.append("\n## %s\n" % os.path.relpath(path, ROOT))
        if schema.get("about"):
            out.append(schema["about"])
        for thing in schema.get("types", []) + schema.get("events", []):
            table(out, thing)
    return "\n".join(out) + "\n"


def main():
    text = page()
    if "--check" in sys.argv[1:]:
        with open(OUT, encoding="utf-8") as file:
            if file.read() != text:
                print("docs/events.md is not what schemas/*.json say.\n  fix: tools/schema_docs.py")
                return 1
        return 0
    with open(OUT, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
