package capture

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/kftest"
)

// A server answers with a key as it was stored, by base64 or not, and the list of keys does not tell which it will be.
func TestItemsKeysAsStored(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Memcached)
	nc, err := net.Dial("tcp", n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	// By set: control characters and high bytes, a tab; by ms with base64: text, and a key with a space.
	fmt.Fprint(nc, "set \xff\xfe\x01 0 0 1\r\na\r\nset a\tb 0 0 1\r\nb\r\nms Zm9v 1 b\r\nc\r\nms YSBi 1 b\r\nd\r\n")
	want := map[string]string{"\xff\xfe\x01": "a", "a\tb": "b", "foo": "c", "a b": "d"}
	if got, err := io.ReadAll(io.LimitReader(nc, 2*int64(len("STORED\r\nHD\r\n")))); err != nil || string(got) != "STORED\r\nSTORED\r\nHD\r\nHD\r\n" {
		t.Fatalf("%q, %v", got, err)
	}
	var file bytes.Buffer
	src := Source{Address: n.Addr()}
	if _, err := Items(t.Context(), src, &file, Options{SpoolDir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	r, err := itemfile.NewReader(&file, itemfile.Options{})
	for err == nil {
		var it *itemfile.Item
		if it, err = r.Next(); err == nil {
			if want[string(it.Key)] != string(it.Value) {
				t.Errorf("%q is %q", it.Key, it.Value)
			}
			delete(want, string(it.Key))
		}
	}
	if err != io.EOF || len(want) > 0 {
		t.Errorf("%v; missing: %q", err, want)
	}
}
