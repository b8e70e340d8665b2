#!/bin/sh
# Builds the servers that tests run against into .cache/bin. Quick when they are there already.
set -eu
versitygw=v1.8.0 # an S3 server by other people: the oracle for exports to foreign endpoints

bin="$(cd "$(dirname "$0")/.." && pwd)/.cache/bin"
mkdir -p "$bin"
stamp="$bin/.versitygw-$versitygw"
if [ ! -x "$bin/versitygw" ] || [ ! -e "$stamp" ]; then
	echo "building versitygw $versitygw (about two minutes)" >&2
	GOBIN="$bin" GOFLAGS= go install "github.com/versity/versitygw/cmd/versitygw@$versitygw"
	rm -f "$bin"/.versitygw-*
	: >"$stamp"
fi
