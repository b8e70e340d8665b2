package snapstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/crc64"
)

// dump makes an RDB file of n string keys, every third with an expiry.
func dump(n int) []byte {
	out := []byte("REDIS0011\xfe\x00")
	for i := range n {
		if i%3 == 0 {
			out = append(out, 0xfc)
			out = binary.LittleEndian.AppendUint64(out, 4_000_000_000_000)
		}
		k := fmt.Sprintf("key:%d", i)
		out = append(append(out, 0, byte(len(k))), k...)
		out = append(append(out, 40), stream(uint64(i), 40)...)
	}
	out = append(out, 0xff)
	return binary.LittleEndian.AppendUint64(out, crc64.Update(0, out))
}

// putRDB stores a dump per shard, described by what describe makes of the scan.
func putRDB(t *testing.T, s *Store, id string, dumps [][]byte, describe func(*Shard)) *Manifest {
	t.Helper()
	key := NewDataKey()
	c, err := s.NewCapture(t.Context(), "cap-"+id, key)
	if err != nil {
		t.Fatal(err)
	}
	m := testManifest(id)
	m.Stream, m.RDBVersion = RDB, 11
	for i, data := range dumps {
		w, err := c.Shard(fmt.Sprintf("%04d", i+1))
		if err != nil {
			t.Fatal(err)
		}
		sum, err := rdb.NewScanner(&sliceReader{data}, rdb.Options{Tee: w}).Scan()
		if err != nil {
			sum = &rdb.Summary{} // the test is about a dump that is none
		}
		if _, err := w.Write(data[w.Written():]); err != nil {
			t.Fatal(err)
		}
		got, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		per := 16384 / len(dumps)
		sh := Shard{Name: fmt.Sprintf("%04d", i+1), Parts: got.Parts, Slots: []resource.SlotRange{{Start: i * per, End: (i+1)*per - 1}}}
		sh.SetRDB(sum)
		sh.Bytes = got.PlainBytes
		describe(&sh)
		m.Shards = append(m.Shards, sh)
	}
	if err := s.WriteManifest(t.Context(), m, key); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestVerifyWalksRecords(t *testing.T) {
	t.Parallel()
	s := newStore(t, newBucket(t), Options{})
	dumps := [][]byte{dump(90_000), dump(10)}
	putRDB(t, s, "good", dumps, func(*Shard) {})
	var last, total int64
	rep, err := s.Verify(t.Context(), "good", func(d, n int64) { last, total = max(last, d), n })
	want := int64(len(dumps[0]) + len(dumps[1]))
	if err != nil || rep.Keys != 90_010 || rep.PlainBytes != want || len(rep.Shards) != 2 || !rep.Shards[0].Walked || !rep.Shards[1].Walked {
		t.Fatalf("%+v, %v", rep, err)
	}
	if last != want || total != want {
		t.Errorf("progress ended at %d of %d, want %d", last, total, want)
	}
}

// A change of version that was given up leaves shards with different engines.
func TestVerifyOfShardsOfDifferentVersions(t *testing.T) {
	t.Parallel()
	s := newStore(t, newBucket(t), Options{})
	older := append([]byte("REDIS0010"), dump(10)[9:]...)
	binary.LittleEndian.PutUint64(older[len(older)-8:], crc64.Update(0, older[:len(older)-8]))
	putRDB(t, s, "mixed", [][]byte{dump(20), older}, func(*Shard) {})
	if rep, err := s.Verify(t.Context(), "mixed", nil); err != nil || rep.Keys != 30 {
		t.Errorf("%+v, %v", rep, err)
	}
	newer := append([]byte("REDIS0012"), older[9:]...)
	binary.LittleEndian.PutUint64(newer[len(newer)-8:], crc64.Update(0, newer[:len(newer)-8]))
	putRDB(t, s, "newer", [][]byte{newer}, func(*Shard) {})
	if _, err := s.Verify(t.Context(), "newer", nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a version above that of the manifest: %v", err)
	}
}

func TestVerifyComparesWithTheManifest(t *testing.T) {
	t.Parallel()
	s := newStore(t, newBucket(t), Options{})
	good := dump(10)
	for name, c := range map[string]struct {
		data   []byte
		change func(*Shard)
	}{
		"keys":      {good, func(sh *Shard) { sh.Keys++ }},
		"expiring":  {good, func(sh *Shard) { sh.Expiring-- }},
		"crc":       {good, func(sh *Shard) { sh.CRC64 = CRC64(1) }},
		"truncated": {good[:len(good)-1], func(*Shard) {}},
		"trailing":  {append(append([]byte(nil), good...), 'x'), func(sh *Shard) { sh.Keys, sh.Expiring = 10, 4 }},
		"not rdb":   {[]byte("hello, world"), func(*Shard) {}},
		"empty":     {nil, func(*Shard) {}},
	} {
		id := "s" + fmt.Sprintf("%x", name)
		putRDB(t, s, id, [][]byte{c.data}, c.change)
		var ce *CorruptError
		if rep, err := s.Verify(t.Context(), id, nil); !errors.As(err, &ce) || ce.Shard != "0001" || len(rep.Shards) != 0 {
			t.Errorf("%s: %+v, %v", name, rep, err)
		}
	}
}

// Only a look inside values finds what the engine itself had broken before it was captured.
func TestVerifyDeep(t *testing.T) {
	t.Parallel()
	s := newStore(t, newBucket(t), Options{})
	broken := []byte("REDIS0011\x10\x01k\x07\x07\x00\x00\x00\x02\x00\xff\xff")
	broken = binary.LittleEndian.AppendUint64(broken, crc64.Update(0, broken))
	putRDB(t, s, "good", [][]byte{dump(100)}, func(*Shard) {})
	putRDB(t, s, "broken", [][]byte{dump(100), broken}, func(*Shard) {})
	for _, id := range []string{"good", "broken"} {
		if rep, err := s.Verify(t.Context(), id, nil); err != nil || rep.Keys < 100 {
			t.Errorf("%s: %+v, %v", id, rep, err)
		}
	}
	if rep, err := s.VerifyDeep(t.Context(), "good", nil); err != nil || rep.Keys != 100 || !rep.Shards[0].Walked {
		t.Errorf("%+v, %v", rep, err)
	}
	var ce *CorruptError
	if rep, err := s.VerifyDeep(t.Context(), "broken", nil); !errors.As(err, &ce) || ce.Shard != "0002" || !errors.Is(err, rdb.ErrCorrupt) || len(rep.Shards) != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
}
