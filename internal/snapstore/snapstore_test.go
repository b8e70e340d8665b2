package snapstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/blob/disk"
	"github.com/keyframe/keyframe/internal/kms"
	"github.com/keyframe/keyframe/internal/resource"
)

// plainKeys stands for a key service: it stores what it wraps next to the key's name and the context.
type plainKeys struct{ disabled map[string]bool }

var _ kms.Provider = plainKeys{}

func (p plainKeys) Resolve(context.Context, resource.Scope, string, string) (string, error) {
	return "arn:key/default", nil
}

func (p plainKeys) Check(_ context.Context, arn string) error {
	if p.disabled[arn] {
		return resource.Errorf(resource.InvalidKey, resource.TypeParameter, "KmsKeyId", "%s is disabled.", arn)
	}
	return nil
}

func (p plainKeys) head(arn string, kctx map[string]string) []byte {
	return fmt.Appendf(nil, "%s|%v|", arn, kctx)
}

func (p plainKeys) Wrap(ctx context.Context, arn string, plain []byte, kctx map[string]string) ([]byte, error) {
	return append(p.head(arn, kctx), plain...), p.Check(ctx, arn)
}

func (p plainKeys) Unwrap(ctx context.Context, arn string, wrapped []byte, kctx map[string]string) ([]byte, error) {
	plain, ok := bytes.CutPrefix(wrapped, p.head(arn, kctx))
	if !ok {
		return nil, errors.New("wrong key or context")
	}
	return plain, p.Check(ctx, arn)
}

func newBucket(t testing.TB) blob.Bucket {
	t.Helper()
	b, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// smallPart keeps tests small; TestFullSize has parts as they are.
const smallPart = 3 * blockSize

// newStore is a store with small parts.
func newStore(t testing.TB, b blob.Bucket, o Options) *Store {
	t.Helper()
	s := New(b, plainKeys{map[string]bool{}}, o)
	s.part = smallPart
	return s
}

// stream makes n bytes that compress somewhat, the same for the same seed.
func stream(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	words := make([][]byte, 64)
	for i := range words {
		words[i] = make([]byte, 3+r.IntN(60))
		for j := range words[i] {
			words[i][j] = byte(r.Uint32())
		}
	}
	out := make([]byte, 0, n+64)
	for len(out) < n {
		out = append(out, words[r.IntN(len(words))]...)
		out = append(out, byte(r.Uint32()), byte(r.Uint32()))
	}
	return out[:n]
}

// put writes a snapshot of the streams, in chunks of random size.
func put(t testing.TB, s *Store, id string, streams map[string][]byte) (*Manifest, DataKey) {
	t.Helper()
	m, key, err := tryPut(t.Context(), s, id, streams)
	if err != nil {
		t.Fatal(err)
	}
	return m, key
}

func tryPut(ctx context.Context, s *Store, id string, streams map[string][]byte) (*Manifest, DataKey, error) {
	key := NewDataKey()
	c, err := s.NewCapture(ctx, "cap-"+id, key)
	if err != nil {
		return nil, key, err
	}
	m := testManifest(id)
	r := rand.New(rand.NewPCG(1, uint64(len(id))))
	for name, data := range streams {
		w, err := c.Shard(name)
		if err != nil {
			return nil, key, err
		}
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(700_000))
			if _, err := w.Write(rest[:n]); err != nil {
				w.Abort()
				return nil, key, err
			}
			rest = rest[n:]
		}
		got, err := w.Close()
		if err != nil {
			return nil, key, err
		}
		m.Shards = append(m.Shards, Shard{Name: name, Keys: 3, Expiring: 1, Bytes: got.PlainBytes, Parts: got.Parts})
	}
	return m, key, s.WriteManifest(ctx, m, key)
}

func testManifest(id string) *Manifest {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	return &Manifest{SnapshotID: id, CaptureID: "cap-" + id, Kind: resource.Serverless, Account: "123456789012", Region: "us-east-1", Name: "snap",
		Type: resource.Manual, RequestedAt: at, CapturedAt: at.Add(time.Second), Engine: resource.Valkey, EngineVersion: "8.0.1",
		Stream: "test", Consistency: Instant, Source: resource.Cache{Name: "cache", Engine: resource.Valkey}, Tags: []resource.Tag{{Key: "k", Value: "v"}},
		Key: WrappedKey{ARN: "arn:key/one"}}
}

func read(t testing.TB, s *Store, m *Manifest, shard string) ([]byte, error) {
	t.Helper()
	key, err := s.Unlock(t.Context(), m)
	if err != nil {
		return nil, err
	}
	r, err := s.Open(t.Context(), m, key, shard)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(struct{ io.Reader }{r})
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, codec := range []Codec{"", None, S2, Zstd} {
		for _, n := range []int{0, 1, blockSize - 1, blockSize, blockSize + 1, smallPart - 1, smallPart, smallPart + 1, 2*smallPart + 12345} {
			t.Run(fmt.Sprintf("%s/%d", codec, n), func(t *testing.T) {
				s := newStore(t, newBucket(t), Options{Codec: codec})
				data := stream(uint64(n), n)
				put(t, s, "s", map[string][]byte{"0001": data})
				m, err := s.ReadManifest(t.Context(), "s")
				if err != nil {
					t.Fatal(err)
				}
				if want := max(1, (n+smallPart-1)/smallPart); len(m.Shards[0].Parts) != want {
					t.Errorf("%d parts, want %d", len(m.Shards[0].Parts), want)
				}
				got, err := read(t, s, m, "0001")
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d bytes of %d, %v", len(got), n, err)
				}
				rep, err := s.Verify(t.Context(), "s", nil)
				if err != nil || rep.PlainBytes != int64(n) || rep.Parts != len(m.Shards[0].Parts) {
					t.Fatalf("%+v, %v", rep, err)
				}
			})
		}
	}
}

func TestFullSize(t *testing.T) {
	t.Parallel()
	s := New(newBucket(t), plainKeys{}, Options{Codec: S2})
	for i, n := range []int{partSize, partSize + 1} {
		data := stream(uint64(n), n)
		m, _ := put(t, s, fmt.Sprint("s", i), map[string][]byte{"0001": data})
		if parts := m.Shards[0].Parts; len(parts) != 1+i || parts[0].PlainBytes != partSize {
			t.Errorf("%d bytes: parts %+v", n, parts)
		}
		if got, err := read(t, s, m, "0001"); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes of %d, %v", len(got), n, err)
		}
	}
}
