package keyspace_test

import (
	"bytes"
	"fmt"

	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// shard makes a file in memory.
func shard(keys ...string) []byte {
	var b bytes.Buffer
	w, err := rdb.NewWriter(&b, rdb.WriterOptions{Version: 11})
	if err != nil {
		panic(err)
	}
	for _, k := range keys {
		if err := w.Write(rdb.Meta{Key: []byte(k)}, rdb.String("some value")); err != nil {
			panic(err)
		}
	}
	if _, err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func ExampleScan() {
	file := bytes.NewReader(shard("user:1:name", "user:1:cart", "user:2:name", "page:/index"))
	report, _, err := keyspace.Scan(file, keyspace.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Keys, "keys,", report.Types[0].Type)
	for _, p := range report.Prefixes.Heaviest {
		fmt.Printf("%s %d\n", p.Prefix, p.Keys)
	}
	// Output:
	// 4 keys, string
	// user: 3
	// user:1: 2
	// page: 1
	// page:/ 1
	// user:2: 1
}

// The shards of a cluster are counted one by one, or each by its own goroutine,
// and reported together.
func ExampleCollector_Merge() {
	var all *keyspace.Collector
	var sums []*rdb.Summary
	for _, file := range [][]byte{shard("user:1", "user:2"), shard("user:3", "job:1")} {
		c, scanner, err := keyspace.Collect(bytes.NewReader(file), keyspace.Options{Slots: true})
		if err != nil {
			fmt.Println(err)
			return
		}
		if sums = append(sums, scanner.Summary()); all == nil {
			all = c
		} else {
			all.Merge(c)
		}
	}
	report := all.Report(sums...)
	fmt.Println(report.Files, "files,", report.Keys, "keys in", report.Slots.Used, "slots;", string(report.Prefixes.Heaviest[0].Prefix), report.Prefixes.Heaviest[0].Keys)
	// Output: 2 files, 4 keys in 4 slots; user: 3
}
