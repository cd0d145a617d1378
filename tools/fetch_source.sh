#!/bin/bash
# fetch_source.sh - unpacks the source of a Debian package below build/sources, and prints the folder.
#
#   tools/fetch_source.sh lz4            the source that belongs to this Debian
#   tools/fetch_source.sh mbedtls trixie  that of another release
#
# It asks the mirror that this machine uses already. Its lists live in build/sources/.apt: the machine's own apt
# configuration stays as it is, and no root's rights are needed. Nothing of it is ever committed.
set -u
name=$1
root=$(cd "$(dirname "$0")/.." && pwd)
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
    awk '$3 == "main" && $1 !~ /security/ { print $1, $2; exit }')
# Before the first `apt-get update` nothing is indexed.
read -r uri release <<<"${mirror:-http://deb.debian.org/debian $(. /etc/os-release && echo "$VERSION_CODENAME")}"
release=${2:-$release}
at=$root/build/sources/$release
found() { find "$at" -maxdepth 1 -type d -name "$name-*" 2>/dev/null | sort | tail -1; }

if [ -z "$(found)" ]; then
    command -v dpkg-source >/dev/null || { echo "fetch_source.sh: needs dpkg-source; fix: apt-get install dpkg-dev" >&2; exit 1; }
    apt=$root/build/sources/.apt-$release
    mkdir -p "$at" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb-src $([ -f $key ] && echo "[signed-by=$key]") $uri $release main" >"$apt/sources.list"
    options=(-q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts="$apt/parts"
        -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User="$(id -un)")
    if ! (apt-get "${options[@]}" update && cd "$at" && apt-get "${options[@]}" source "$name") >"$apt/log" 2>&1; then
        tail -5 "$apt/log" >&2
        echo "fetch_source.sh: no source of $name from $uri $release; whole log $apt/log" >&2
        exit 1
    fi
fi
found
