package snapstore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/itemfile"
)

// itemFile makes a file of n items, every third with an expiry.
func itemFile(t *testing.T, n int, value string) ([]byte, *itemfile.Summary) {
	t.Helper()
	var out bytes.Buffer
	w, err := itemfile.NewWriter(&out, itemfile.Header{Created: time.Unix(1_800_000_000, 0), Source: "sessions", Engine: "1.6.18"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		it := itemfile.Item{Key: fmt.Appendf(nil, "key:%d", i), Flags: uint32(i), Value: []byte(value)}
		if i%3 == 0 {
			it.ExpireAt = 4_000_000_000
		}
		if err := w.Write(&it); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), sum
}

// putItems stores a file of items under a manifest that says of it what sum does.
func putItems(t *testing.T, s *Store, id string, file []byte, sum *itemfile.Summary, change func(*Shard)) {
	t.Helper()
	key := NewDataKey()
	c, err := s.NewCapture(t.Context(), "cap-"+id, key)
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Shard("0001")
	if err == nil {
		_, err = w.Write(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	m := testManifest(id)
	m.Stream, m.Consistency = Memcached, NoInstant
	sh := Shard{Name: "0001", Keys: sum.Items, Expiring: sum.Expiring, Bytes: got.PlainBytes, Items: &Items{From: time.Unix(1, 0), To: time.Unix(2, 0)}, Parts: got.Parts}
	sh.Items.Content, sh.Items.Expiry = ItemSums(sum.Sum)
	change(&sh)
	m.Shards = []Shard{sh}
	if err := s.WriteManifest(t.Context(), m, key); err != nil {
		t.Fatal(err)
	}
	if m.Format != 4 {
		t.Errorf("a manifest of no instant is of format %d", m.Format)
	}
}

func TestVerifyItems(t *testing.T) {
	t.Parallel()
	s := newStore(t, newBucket(t), Options{})
	file, sum := itemFile(t, 1000, "value")
	putItems(t, s, "good", file, sum, func(*Shard) {})
	got, err := s.Verify(t.Context(), "good", nil)
	if err != nil || got.Keys != 1000 || !got.Shards[0].Walked {
		t.Errorf("%+v, %v", got, err)
	}
	none, noSum := itemFile(t, 0, "")
	putItems(t, s, "empty", none, noSum, func(*Shard) {})
	if got, err := s.Verify(t.Context(), "empty", nil); err != nil || got.Keys != 0 {
		t.Errorf("no items: %+v, %v", got, err)
	}
	others, _ := itemFile(t, 1000, "Value")
	for what, bad := range map[string]struct {
		file   []byte
		change func(*Shard)
	}{
		"other values":   {others, func(*Shard) {}},
		"other count":    {file, func(sh *Shard) { sh.Keys++ }},
		"other expiry":   {file, func(sh *Shard) { sh.Items.Expiry = fmt.Sprintf("%016x", 1) }},
		"a cut file":     {file[:len(file)-1], func(*Shard) {}},
		"bytes behind":   {append(bytes.Clone(file), 0), func(*Shard) {}},
		"a flipped bit":  {append(append(bytes.Clone(file[:500]), file[500]^1), file[501:]...), func(*Shard) {}},
		"no file at all": {dump(3), func(*Shard) {}},
	} {
		id := "bad-" + strings.ReplaceAll(what, " ", "-")
		putItems(t, s, id, bad.file, sum, bad.change)
		if _, err := s.Verify(t.Context(), id, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
