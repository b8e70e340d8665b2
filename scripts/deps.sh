#!/usr/bin/env bash
# Installs the engines on Debian 12: valkey-server (from bookworm-backports), redis-server, memcached.
# Starts no service and touches none that runs. Quick when nothing is missing.
set -euo pipefail

missing=()
command -v valkey-server >/dev/null || missing+=(valkey-server)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v memcached >/dev/null || missing+=(memcached)
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "deps: this machine has no apt-get; install ${missing[*]} yourself and put them on PATH" >&2
  exit 1
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "deps: need root or sudo to install ${missing[*]}" >&2; exit 1; }
  root=(sudo)
fi

. /etc/os-release
backports="${VERSION_CODENAME}-backports"

# mirror prints the first archive that the machine itself takes Debian's main packages from.
mirror() {
  { cat /etc/apt/sources.list.d/*.sources 2>/dev/null || true; } |
    awk -v suite="$VERSION_CODENAME" '
      /^URIs:/   {uri=$2}
      /^Suites:/ {for (i=2; i<=NF; i++) if ($i==suite) {print uri; exit}}'
  { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true; } |
    awk -v suite="$VERSION_CODENAME" '
      $1=="deb" {for (i=2; i<=NF; i++) if ($i==suite) {print $(i-1); exit}}'
}

if [[ " ${missing[*]} " == *" valkey-server "* ]] && ! grep -rqs "$backports" /etc/apt/sources.list /etc/apt/sources.list.d; then
  uri=$(mirror | sed -n 1p)
  [ -n "$uri" ] || { echo "deps: no archive for $VERSION_CODENAME in the apt sources; add $backports yourself" >&2; exit 1; }
  echo "deb $uri $backports main" | "${root[@]}" tee /etc/apt/sources.list.d/keyframe-backports.list >/dev/null
fi

# Debian starts a packaged server when it is installed. A policy that says no is put in place for
# the time of the install, unless the machine has a policy of its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
  "${root[@]}" chmod 755 "$policy"
  trap '"${root[@]}" rm -f "$policy"' EXIT
fi

echo "deps: installing ${missing[*]}"
"${root[@]}" apt-get update -qq
for package in "${missing[@]}"; do
  release=()
  # Only what the release itself lacks comes from backports.
  apt-cache policy "$package" | grep -q " $VERSION_CODENAME/" || release=(-t "$backports")
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${release[@]}" "$package" >/dev/null
done
valkey-server --version
redis-server --version
memcached --version
