#!/usr/bin/env bash
# Runs every fuzz target for a while (default: a minute each), and fails if one of them found something. Findings land in testdata/fuzz of
# their package.
set -euo pipefail
time=${1:-60s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
found=()
while read -r package; do
  while read -r target; do
    echo "fuzz: $package $target for $time"
    # Making inputs smaller that merely reach new code would take most of the time.
    if go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5x "$package" </dev/null 2>&1 | tee "$log"; then
      continue
    fi
    # Before Go 1.27, go test may take the end of the time itself for a failure: https://go.dev/issue/75804
    if grep -q 'context deadline exceeded' "$log" && ! grep -qE 'Failing input written|panic|hung or terminated' "$log"; then
      echo "fuzz: $package $target: the time was up, and nothing was found"
      continue
    fi
    found+=("$package $target")
  done < <(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$package"/*_test.go | sed 's/^func //' | sort -u)
done < <(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u)
if [ ${#found[@]} -gt 0 ]; then
  printf 'fuzz: found something: %s\n' "${found[@]}" >&2
  exit 1
fi
echo "fuzz: nothing was found"
