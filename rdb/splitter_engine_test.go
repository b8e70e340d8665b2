package rdb

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// What is split is loaded by the engine that wrote it, and what is merged for an older one by that: every key and
// library is there.
func TestEnginesLoadWhatIsSplit(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"valkey-server", "redis-server"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			const keys = 3000
			e := startEngine(t, server, t.TempDir(), "--rdbcompression", "yes")
			e.line(fmt.Sprintf("DEBUG POPULATE %d some:long:prefix:of:keys 100", keys-2))
			e.line("SET 12345 number")
			e.line("SET {tag}x y EX 100000")
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
			total := int64(0)
			for _, part := range out {
				total += loaded(t, server, part)
			}
			if total != keys {
				t.Errorf("%d keys in all, want %d", total, keys)
			}
			merged, _, err := splitting(SplitOptions{Version: 10}, parts(1, false), windowSize, 1<<16, out...)
			if err != nil {
				t.Fatal(err)
			}
			if n := loaded(t, "redis-server", merged[0]); n != keys {
				t.Errorf("%d keys after the merge, want %d", n, keys)
			}
		})
	}
}

// loaded starts an engine on a file, which must bring the library, and counts its keys.
func loaded(t *testing.T, server string, file []byte) int64 {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), bytes.Clone(file), 0o600); err != nil {
		t.Fatal(err)
	}
	e := startEngine(t, server, dir)
	if got := e.line("FCALL f 0"); got != int64(1) {
		t.Errorf("the library answers %v", got)
	}
	return e.line("DBSIZE").(int64)
}
