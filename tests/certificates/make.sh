#!/bin/bash
# make.sh - makes the certificates of the tests anew: one authority, good for "localhost", 127.0.0.1 and ::1 for a
# hundred years; one that has expired; one of an authority that nobody trusts. Keys of tests: no secrets.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
key "$work/ca.key"
key server.key
key other.key
openssl req -x509 -new -key "$work/ca.key" -days 36500 -subj "/CN=necpnet test authority" -out ca.pem
openssl req -x509 -new -key other.key -days 36500 -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost" -out other.pem
openssl req -new -key server.key -subj "/CN=localhost" -out "$work/server.csr"
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n' >"$work/names"
openssl x509 -req -in "$work/server.csr" -CA ca.pem -CAkey "$work/ca.key" -CAcreateserial -CAserial "$work/serial" \
    -days 36500 -extfile "$work/names" -out server.pem
mkdir "$work/db"
touch "$work/db/index"
echo 1000 >"$work/db/serial"
cat >"$work/ca.conf" <<CONF
[ca]
default_ca = test
[test]
database = $work/db/index
serial = $work/db/serial
new_certs_dir = $work/db
default_md = sha256
policy = any
[any]
commonName = supplied
CONF
openssl ca -batch -config "$work/ca.conf" -cert ca.pem -keyfile "$work/ca.key" -in "$work/server.csr" \
    -startdate 20200101000000Z -enddate 20210101000000Z -extfile "$work/names" -notext -out expired.pem
