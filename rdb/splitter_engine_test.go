package rdb

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// What is split is loaded by the engine that wrote it, and what is merged for an older one by that: every key is there in
// its database, and every library. What is merged for the engine itself has its digest.
func TestEnginesLoadWhatIsSplit(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"valkey-server", "redis-server"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t, server, t.TempDir(), "--rdbcompression", "yes")
			keys := map[int]int64{0: 3000, 1: 1, 9: 502, 15: 40}
			for db, n := range keys {
				e.line(fmt.Sprint("SELECT ", db))
				e.line("SET 12345 number")
				if n > 1 {
					e.line("SET {tag}x y EX 100000")
					e.line(fmt.Sprintf("DEBUG POPULATE %d some:long:prefix:of:keys 100", n-2))
				}
			}
			digest := e.line("DEBUG DIGEST")
			e.do("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
			file, err := os.ReadFile(e.save())
			if err != nil {
				t.Fatal(err)
			}
			version := 10
			if server == "valkey-server" {
				version = 11
			}
			out, _, err := splitting(SplitOptions{Version: version}, parts(3, false), windowSize, 1<<16, file)
			if err != nil {
				t.Fatal(err)
			}
			total := map[int]int64{}
			for _, part := range out {
				for db, n := range perDatabase(loaded(t, server, part)) {
					total[db] += n
				}
			}
			if !maps.Equal(total, keys) {
				t.Errorf("%d keys in the databases, want %d", total, keys)
			}
			merged, _, err := splitting(SplitOptions{Version: version}, parts(1, false), windowSize, 1000, out...)
			if err != nil {
				t.Fatal(err)
			}
			if again := loaded(t, server, merged[0]).line("DEBUG DIGEST"); again != digest {
				t.Errorf("digest %v after the merge, was %v", again, digest)
			}
			older, _, err := splitting(SplitOptions{Version: 10}, parts(1, false), windowSize, 1<<16, out...)
			if err != nil {
				t.Fatal(err)
			}
			if n := perDatabase(loaded(t, "redis-server", older[0])); !maps.Equal(n, keys) {
				t.Errorf("%d keys in the databases after the merge, want %d", n, keys)
			}
		})
	}
}

// perDatabase counts the keys of each database that has any.
func perDatabase(e *engine) map[int]int64 {
	n := map[int]int64{}
	for db := range 16 {
		e.line(fmt.Sprint("SELECT ", db))
		if size := e.line("DBSIZE").(int64); size > 0 {
			n[db] = size
		}
	}
	return n
}

// loaded starts an engine on a file, which must bring the library.
func loaded(t *testing.T, server string, file []byte) *engine {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), bytes.Clone(file), 0o600); err != nil {
		t.Fatal(err)
	}
	e := startEngine(t, server, dir)
	if got := e.line("FCALL f 0"); got != int64(1) {
		t.Errorf("the library answers %v", got)
	}
	return e
}
