// Command keyframe runs caches behind the ElastiCache and MemoryDB APIs and keeps real snapshots of them.
package main

import (
	"os"

	"github.com/keyframe/keyframe/internal/cli"
)

// version is set by the build, from git.
var version = "development"

func main() { os.Exit(cli.Main(version, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
