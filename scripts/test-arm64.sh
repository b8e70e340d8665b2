#!/bin/sh
# Runs the tests of the packages with code for arm64, on that processor or under its emulator: the assembly must give what the tables give.
set -eu
packages="./rdb/crc64 ./rdb/lzf"
if [ "$(go env GOHOSTARCH)" = arm64 ]; then
	# shellcheck disable=SC2086 # the packages are words
	exec go test $packages
fi
for emulator in qemu-aarch64-static qemu-aarch64; do
	if command -v "$emulator" >/dev/null 2>&1; then
		# shellcheck disable=SC2086 # the packages are words
		exec env GOARCH=arm64 CGO_ENABLED=0 go test -exec "$emulator" $packages
	fi
done
echo "test-arm64: skipped: this machine is no arm64 and has no qemu-aarch64 (Debian: apt-get install qemu-user-static)"
