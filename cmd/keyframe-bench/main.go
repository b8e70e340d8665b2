// Command keyframe-bench measures Keyframe beside the engines' own tools and the disk, and prints tables of ratios.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/keyframe/keyframe/internal/bench"
)

func main() {
	program := flag.String("keyframe", "bin/keyframe", "the server to measure")
	megabytes := flag.Int64("megabytes", 850, "size of the data set as RDB")
	runs := flag.Int("runs", 3, "runs of each measure")
	dir := flag.String("dir", "", "where the data goes: the disk to measure")
	only := flag.String("only", "", "basics, codec, server, cuts, shards, pages or memcached; empty for all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := bench.Options{Bytes: *megabytes * 1_000_000, Runs: *runs, Dir: *dir, Log: os.Stderr}
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"basics", func() error { return bench.Run(ctx, os.Stdout, o) }},
		{"codec", func() error { return bench.Codec(ctx, os.Stdout, o, *program) }},
		{"server", func() error { return bench.Server(ctx, os.Stdout, o, *program) }},
		{"cuts", func() error { return bench.Cuts(ctx, os.Stdout, o) }},
		{"shards", func() error { return bench.Shards(ctx, os.Stdout, o, *program) }},
		{"pages", func() error { return bench.Pages(ctx, os.Stdout, o, *program) }},
		{"memcached", func() error { return bench.Memcached(ctx, os.Stdout, o) }},
	} {
		if *only != "" && *only != part.name {
			continue
		}
		if err := part.run(); err != nil {
			fmt.Fprintln(os.Stderr, "keyframe-bench:", err)
			os.Exit(1)
		}
		fmt.Println()
	}
}
