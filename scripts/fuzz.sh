#!/usr/bin/env bash
# Runs every fuzz target for a while (default: a minute each). Findings land in testdata/fuzz of their package.
set -euo pipefail
time=${1:-60s}
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r package; do
  grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$package"/*_test.go | sed 's/^func //' | sort -u | while read -r target; do
    echo "fuzz: $package $target for $time"
    # Making inputs smaller that merely reach new code would take most of the time.
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5x "$package" </dev/null
  done
done
