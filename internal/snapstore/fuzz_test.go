package snapstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/keyframe/keyframe/internal/blob"
)

// memory is a bucket with one object: fuzzing has no time for a disk.
type memory struct {
	blob.Bucket
	data []byte
}

func (m memory) Open(_ context.Context, _ string, off, _ int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.data[off:])), nil
}

// readObject reads one part whose stored bytes are data, under a manifest that says so.
func readObject(ctx context.Context, key DataKey, data []byte, plain int64, c Codec) ([]byte, error) {
	aead, err := key.sealer()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	sh := &Shard{Name: "0001", Bytes: plain, Parts: []Part{{Number: 1, Codec: c, PlainBytes: plain, StoredBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}}}
	r := openShard(ctx, memory{data: data}, aead, "cap", sh)
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, partSize+1))
}

func fixedKey(t testing.TB) DataKey {
	t.Helper()
	k, err := dataKeyOf(bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// seal makes a part's stored bytes of what lies under the seal.
func seal(t testing.TB, key DataKey, framed []byte) []byte {
	t.Helper()
	aead, err := key.sealer()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := aead.NewEncryptingWriter(&out, associated("cap", "0001", 1))
	if err == nil {
		_, err = w.Write(framed)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// frame makes a part of blocks that are given as (size, stored bytes).
func frame(c Codec, plain int64, blocks ...any) []byte {
	out := header(c)
	for i := 0; i < len(blocks); i += 2 {
		stored := blocks[i+1].([]byte)
		out = binary.LittleEndian.AppendUint32(out, uint32(blocks[i].(int)))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(stored)))
		out = append(out, stored...)
	}
	return append(out, trailer(true, plain)...)
}

func TestFrames(t *testing.T) {
	t.Parallel()
	key := fixedKey(t)
	data := bytes.Repeat([]byte("abcd"), 1000)
	packed := map[Codec][]byte{}
	for _, c := range []Codec{S2, Zstd} {
		packed[c] = bytes.Clone(compress(c, make([]byte, 2*blockSize), data))
		if got, err := readObject(t.Context(), key, seal(t, key, frame(c, 4000, 4000, packed[c])), 4000, c); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%s: %d bytes, %v", c, len(got), err)
		}
	}
	good := frame(None, 4000, 4000, data)
	for name, bad := range map[string][]byte{
		"empty":            {},
		"header only":      header(None),
		"no trailer":       good[:len(good)-partTail],
		"half a trailer":   good[:len(good)-3],
		"extra":            append(bytes.Clone(good), 0),
		"magic":            append([]byte("KFP\x02"), good[4:]...),
		"reserved":         append([]byte("KFP\x01\x00\x01"), good[6:]...),
		"codec":            append([]byte("KFP\x01\x07\x00"), good[6:]...),
		"too few bytes":    frame(None, 4000, 3999, data[:3999]),
		"offset":           frame(None, 4001, 4000, data),
		"more blocks":      frame(None, 4000, 4000, data, 4000, data),
		"stored too long":  frame(None, 4000, 10, data),
		"block too large":  frame(None, 4000, blockSize+1, data),
		"none but short":   frame(None, 4000, 4000, data[:3999]),
		"not s2":           frame(S2, 4000, 4000, []byte("no such thing")),
		"s2 of other size": frame(S2, 4000, 3999, packed[S2], 1, []byte("x")),
		"zstd other size":  frame(Zstd, 4000, 3999, packed[Zstd], 1, []byte("x")),
		"zstd too large":   frame(Zstd, 40, 40, packed[Zstd][:20]),
		"stored nothing":   frame(S2, 4000, 4000, []byte{}),
	} {
		c := None
		if len(bad) > 4 && bad[4] < 3 {
			c = []Codec{None, S2, Zstd}[bad[4]]
		}
		got, err := readObject(t.Context(), key, seal(t, key, bad), 4000, c)
		var ce *CorruptError
		if !errors.Is(err, ErrCorrupt) || !errors.As(err, &ce) || ce.Part != 1 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	more := bytes.Clone(good)
	copy(more[len(more)-12:], []byte{0, 0, 0, 0})
	if _, err := readObject(t.Context(), key, seal(t, key, more), 4000, None); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a stream that goes on: %v", err)
	}
}

// FuzzPart feeds arbitrary bytes below an honest seal: the worst that one who holds the key can do.
func FuzzPart(f *testing.F) {
	key := fixedKey(f)
	data := bytes.Repeat([]byte("abcd"), 1000)
	f.Add(frame(None, 4000, 4000, data), int64(4000), byte(0))
	f.Add(frame(S2, 4000, 4000, bytes.Clone(compress(S2, make([]byte, 2*blockSize), data))), int64(4000), byte(1))
	f.Add(frame(Zstd, 4000, 4000, bytes.Clone(compress(Zstd, make([]byte, 2*blockSize), data))), int64(4000), byte(2))
	f.Add(frame(None, 0), int64(0), byte(0))
	f.Fuzz(func(t *testing.T, framed []byte, plain int64, c byte) {
		codec := []Codec{None, S2, Zstd}[c%3]
		got, err := readObject(t.Context(), key, seal(t, key, framed), plain, codec)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%v is not ErrCorrupt", err)
		}
		if err == nil && int64(len(got)) != plain {
			t.Fatalf("%d bytes, the manifest says %d", len(got), plain)
		}
	})
}

// FuzzSealed feeds arbitrary bytes in the place of a part.
func FuzzSealed(f *testing.F) {
	key := fixedKey(f)
	good := seal(f, key, frame(None, 4, 4, []byte("abcd")))
	f.Add(good)
	f.Add(good[:20])
	f.Add([]byte{40})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stored []byte) {
		got, err := readObject(t.Context(), key, stored, 4, None)
		if err == nil && string(got) != "abcd" {
			t.Fatalf("forged %q", got)
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%v is not ErrCorrupt", err)
		}
	})
}

// FuzzManifest parses arbitrary bytes; what is accepted must be stable when it is written again.
func FuzzManifest(f *testing.F) {
	key := fixedKey(f)
	m := testManifest("s")
	m.Format = FormatVersion
	m.Shards = []Shard{{Name: "0001", Keys: 3, Expiring: 1, Bytes: 7, Types: map[int]int64{0: 3}, Databases: map[uint64]int64{0: 3},
		Parts: []Part{{Number: 1, Codec: S2, PlainBytes: 7, StoredBytes: 200, SHA256: fmt.Sprintf("%064d", 1)}}}}
	good, err := m.encode(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	m.Stream, m.Consistency = Memcached, NoInstant
	m.Shards[0].Items = &Items{Content: fmt.Sprintf("%032d", 1), Expiry: fmt.Sprintf("%016d", 2), Vanished: 1}
	items, err := m.encode(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(items)
	f.Add([]byte(`{"mac":"","manifest":null}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			return
		}
		again, err := m.encode(key)
		if err != nil {
			t.Fatal(err)
		}
		m2, err := ParseManifest(again)
		if err != nil {
			t.Fatalf("%v of %s", err, again)
		}
		if third, err := m2.encode(key); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%s\n%s, %v", again, third, err)
		}
	})
}
