package keyrestore

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/keydiff"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// Hashes whose fields expire go to the engines of both families that have them, from files of both, whatever their size.
func TestFamilies(t *testing.T) {
	t.Parallel()
	small := rdb.Hash{{Name: []byte("f"), Value: []byte("v"), ExpireAt: 1999999999000}, {Name: []byte("g"), Value: []byte("w")}}
	large := append(rdb.Hash{{Name: []byte("big"), Value: bytes.Repeat([]byte("big"), 2*inMemory)}}, small...)
	for _, from := range []int{12, 80} {
		var file bytes.Buffer
		w, err := rdb.NewWriter(&file, rdb.WriterOptions{Version: from, Uncompressed: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []rdb.Data{small, large} {
			if err := w.Write(rdb.Meta{Key: []byte("h")}, d); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, e := range []*Engine{
			{Kind: resource.Redis, Version: engine.Version{Major: 7, Minor: 4}}, {Kind: resource.Valkey, Version: engine.Version{Major: 9}},
			{Kind: resource.Redis, Version: engine.Version{Major: 7, Minor: 2}}, {Kind: resource.Valkey, Version: engine.Version{Major: 8, Minor: 1}},
		} {
			has := e.Version.Minor == 4 || e.Version.Major == 9
			digester := keydiff.NewDigester()
			if _, err := rdb.NewScanner(bytes.NewReader(file.Bytes()), rdb.Options{OnValue: func(_ *rdb.Record, v *rdb.Value) error {
				p, err := payloadOf(e, t.TempDir(), v, true)
				if !has {
					if err == nil || !strings.Contains(err.Error(), "needs version 12") {
						t.Errorf("from %d to %s %s: %v", from, e.Kind, e.Version, err)
					}
					return nil
				}
				if err != nil {
					return err
				}
				defer p.close()
				payload, err := io.ReadAll(p.reader(p.size))
				if err != nil {
					return err
				}
				d, err := rdb.ParseDump(payload)
				if err != nil {
					return err
				}
				if !e.reads(d.Version) {
					t.Errorf("from %d to %s %s: version %d", from, e.Kind, e.Version, d.Version)
				}
				want := small
				if p.size > inMemory {
					want = large
				}
				raw, err := rdb.EncodeDump(nil, want, rdb.WriterOptions{Version: from})
				if err != nil {
					return err
				}
				origin, err := rdb.ParseDump(raw)
				if err != nil {
					return err
				}
				got, err := digester.Of(d.Value())
				if err != nil {
					return err
				}
				if same, err := digester.Of(origin.Value()); err != nil || got != same {
					t.Errorf("from %d to %s %s: the value is another, %v", from, e.Kind, e.Version, err)
				}
				return nil
			}}).Scan(); err != nil {
				t.Errorf("from %d to %s %s: %v", from, e.Kind, e.Version, err)
			}
		}
	}
}
