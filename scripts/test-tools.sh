#!/bin/sh
# Builds the servers that tests run against into .cache/bin, and installs the packages of e2e/js. Quick when all is there.
set -eu
versitygw=v1.8.0 # an S3 server by other people: the oracle for exports to foreign endpoints

root="$(cd "$(dirname "$0")/.." && pwd)"
bin="$root/.cache/bin"
mkdir -p "$bin"
stamp="$bin/.versitygw-$versitygw"
if [ ! -x "$bin/versitygw" ] || [ ! -e "$stamp" ]; then
	echo "building versitygw $versitygw (about two minutes)" >&2
	GOBIN="$bin" GOFLAGS= go install "github.com/versity/versitygw/cmd/versitygw@$versitygw"
	rm -f "$bin"/.versitygw-*
	: >"$stamp"
fi

js="$root/e2e/js"
installed="$js/node_modules/.package-lock.json"
if [ ! -e "$installed" ] || [ "$js/package-lock.json" -nt "$installed" ]; then
	if command -v npm >/dev/null; then
		echo "installing the packages of e2e/js" >&2
		(cd "$js" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >&2)
		touch "$installed"
	elif [ "${CI:-}" = true ]; then
		echo "test-tools: npm is missing: install Node.js 20 or newer" >&2
		exit 1
	else
		echo "test-tools: npm is missing: the test with the JavaScript SDK will be skipped" >&2
	fi
fi
