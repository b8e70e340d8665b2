package keyspace

import (
	"bytes"
	"io"
	"runtime"
	"testing"

	"github.com/keyframe/keyframe/rdb"
)

// Keys of megabytes that take little room in the file are not kept, not even until they are counted. It runs alone: what others have in use
// would count too.
func TestHugeKeys(t *testing.T) {
	const keys, size = 64, 1 << 20
	var file bytes.Buffer
	w, err := rdb.NewWriter(&file, rdb.WriterOptions{Version: 11})
	if err != nil {
		t.Fatal(err)
	}
	key := bytes.Repeat([]byte{'k'}, size)
	for i := range keys {
		key[0] = byte(i)
		if err := w.Write(rdb.Meta{Key: key}, rdb.String("v")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	watch := &memory{src: &file}
	report, _, err := Scan(watch, Options{})
	if err != nil || report.Keys != keys || report.Biggest[0].NameBytes != size {
		t.Fatalf("%d keys, %v", report.Keys, err)
	}
	if watch.most > keys*size/2 {
		t.Errorf("%d bytes in use, of %d of keys", watch.most, keys*size)
	}
}

// memory notes how much is in use while src is read.
type memory struct {
	src  io.Reader
	most uint64
}

func (m *memory) Read(p []byte) (int, error) {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	m.most = max(m.most, now.HeapAlloc)
	return m.src.Read(p[:min(len(p), 64<<10)])
}
