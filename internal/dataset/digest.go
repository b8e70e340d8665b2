package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/engine/resp"
)

// Sum adds up SHA-256 hashes modulo 2^256: the order of what is added does not matter.
type Sum [4]uint64

func (s *Sum) add(o Sum) {
	var c uint64
	for i := range s {
		s[i], c = bits.Add64(s[i], o[i], c)
	}
}

func (s *Sum) addHash(h [32]byte) {
	var o Sum
	for i := range o {
		o[i] = binary.LittleEndian.Uint64(h[8*i:])
	}
	s.add(o)
}

func (s Sum) append(b []byte) []byte {
	for _, w := range s {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// Digest says what an engine holds. Digests that are == stand for equal data: the same databases, keys, types, values and
// expiries, whatever the encodings, the order of the hash tables, and the version or brand of the engine.
type Digest struct {
	Keys      int64
	Expiring  int64 // of Keys
	Data      Sum
	Functions Sum // libraries; zero without any
}

// Plus is the digest of what both hold: of two shards, say, when their keys are disjoint. Functions, which every shard of a cluster
// holds, count once.
func (d Digest) Plus(o Digest) Digest {
	d.Keys += o.Keys
	d.Expiring += o.Expiring
	d.Data.add(o.Data)
	if d.Functions == (Sum{}) {
		d.Functions = o.Functions
	}
	return d
}

func (d Digest) String() string {
	h := sha256.Sum256(d.Functions.append(d.Data.append(nil)))
	return fmt.Sprintf("%d keys (%d expiring) %s", d.Keys, d.Expiring, hex.EncodeToString(h[:12]))
}

// ErrChanged says that keys changed while they were read.
var ErrChanged = errors.New("dataset: keys changed during the digest")

// DigestOf reads every key of every database. Nobody may write meanwhile. Keys that expire before ignoreExpiringBefore are left
// out, so that two digests with a pause between them can be equal; the zero time leaves none out.
func DigestOf(ctx context.Context, srv Server, ignoreExpiringBefore time.Time) (Digest, error) {
	c, err := srv.connect(ctx)
	if err != nil {
		return Digest{}, err
	}
	defer c.Close()
	r := &reader{c: c, seen: make(map[[16]byte]struct{})}
	if !ignoreExpiringBefore.IsZero() {
		r.ignore = ignoreExpiringBefore.UnixMilli()
	}
	dbs, err := databases(ctx, c)
	if err != nil {
		return Digest{}, err
	}
	for _, db := range dbs {
		if db != 0 || len(dbs) > 1 { // cluster mode may refuse SELECT
			if _, err := c.Do(ctx, "SELECT", strconv.Itoa(db)); err != nil {
				return Digest{}, fmt.Errorf("dataset: digest: %w", err)
			}
		}
		if err := r.database(ctx, db); err != nil {
			return Digest{}, fmt.Errorf("dataset: digest of database %d: %w", db, err)
		}
	}
	return r.d, r.functions(ctx)
}

// databases lists those that hold keys.
func databases(ctx context.Context, c *resp.Conn) ([]int, error) {
	info, err := c.Info(ctx, "keyspace")
	if err != nil {
		return nil, fmt.Errorf("dataset: digest: %w", err)
	}
	var dbs []int
	for name := range maps.Keys(info) {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, "db")); err == nil && strings.HasPrefix(name, "db") {
			dbs = append(dbs, n)
		}
	}
	slices.Sort(dbs)
	return dbs, nil
}

type reader struct {
	c      *resp.Conn
	ignore int64
	seen   map[[16]byte]struct{} // SCAN repeats keys when a table is resized
	d      Digest
}

func (r *reader) database(ctx context.Context, db int) error {
	clear(r.seen)
	for cursor := "0"; ; {
		v, err := r.c.Do(ctx, "SCAN", cursor, "COUNT", "1000")
		if err != nil {
			return err
		}
		if len(v.Elems) != 2 {
			return errors.New("malformed reply to SCAN")
		}
		keys, err := v.Elems[1].Strings()
		if err != nil {
			return err
		}
		keys = slices.DeleteFunc(keys, r.repeated)
		if err := r.keys(ctx, db, keys); err != nil {
			return err
		}
		if cursor = v.Elems[0].Str; cursor == "0" {
			return nil
		}
	}
}

func (r *reader) repeated(key string) bool {
	h := sha256.Sum256([]byte(key))
	id := [16]byte(h[:16])
	if _, again := r.seen[id]; again {
		return true
	}
	r.seen[id] = struct{}{}
	return false
}

// keys digests one page of SCAN: a round trip for the types and expiries, and one for the values.
func (r *reader) keys(ctx context.Context, db int, keys []string) error {
	asks := make([][]string, 0, 2*len(keys))
	for _, k := range keys {
		asks = append(asks, []string{"TYPE", k}, []string{"PEXPIRETIME", k})
	}
	heads, err := r.c.Pipeline(ctx, asks...)
	if err != nil {
		return err
	}
	type head struct {
		key, typ string
		expires  int64
	}
	var found []head
	asks = asks[:0]
	for i, k := range keys {
		typ, err := heads[2*i].Text()
		if err != nil {
			return err
		}
		at, err := heads[2*i+1].Integer()
		if err != nil {
			return err
		}
		if typ == "none" || at == -2 || at >= 0 && at < r.ignore {
			continue
		}
		ask, ok := reads[typ]
		if !ok {
			return fmt.Errorf("key %q has type %q, which a digest cannot read", k, typ)
		}
		found = append(found, head{k, typ, at})
		asks = append(asks, append([]string{ask[0], k}, ask[1:]...))
		if typ == "stream" {
			asks[len(asks)-1] = []string{"XINFO", "STREAM", k, "FULL", "COUNT", "0"}
		}
	}
	values, err := r.c.Pipeline(ctx, asks...)
	if err != nil {
		return err
	}
	var b []byte
	for i, h := range found {
		b = appendInt(b[:0], int64(db))
		b = appendInt(b, h.expires)
		b = appendString(appendString(b, h.typ), h.key)
		if b, err = appendValue(b, h.typ, values[i]); err != nil {
			return fmt.Errorf("key %q: %w", h.key, err)
		}
		r.d.Keys++
		if h.expires >= 0 {
			r.d.Expiring++
		}
		r.d.Data.addHash(sha256.Sum256(b))
	}
	return nil
}

func (r *reader) functions(ctx context.Context) error {
	v, err := r.c.Do(ctx, "FUNCTION", "LIST", "WITHCODE")
	if resp.IsCode(err, "ERR") {
		return nil // an engine without functions
	}
	if err != nil {
		return fmt.Errorf("dataset: digest of functions: %w", err)
	}
	for _, lib := range v.Elems {
		r.d.Functions.addHash(sha256.Sum256([]byte(field(lib, "library_code").Str)))
	}
	return nil
}
