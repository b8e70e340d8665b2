package keydiff

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/rdb"
)

// item is a key of a model.
type item struct {
	typ    byte // 0 string, 1 list, 2 set, 4 hash
	parts  []string
	expire int64
}

type place struct {
	db  uint64
	key string
}

func text(b []byte, s string) []byte {
	b = append(b, 0x80)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// file writes items in random order, and the parts of what is unordered too.
func file(all map[place]item, r *rand.Rand) []byte {
	b := []byte("REDIS0011")
	keys := slices.Collect(maps.Keys(all))
	slices.SortFunc(keys, func(x, y place) int { return int(x.db)*1000 - int(y.db)*1000 + strings.Compare(x.key, y.key) })
	r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, k := range keys {
		it := all[k]
		b = append(b, 254, byte(k.db))
		if it.expire != 0 {
			b = binary.LittleEndian.AppendUint64(append(b, 252), uint64(it.expire))
		}
		b = text(append(b, it.typ), k.key)
		if it.typ == 0 {
			b = text(b, it.parts[0])
			continue
		}
		b = append(b, byte(len(it.parts)))
		parts := slices.Clone(it.parts)
		if it.typ != 1 {
			r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		}
		for _, p := range parts {
			b = text(b, p)
			if it.typ == 4 {
				b = text(b, p+"'s")
			}
		}
	}
	return append(b, 255, 0, 0, 0, 0, 0, 0, 0, 0)
}

func scan(t rapid.TB, d *Diff, side Side, files ...[]byte) {
	t.Helper()
	for _, f := range files {
		if _, err := rdb.NewScanner(bytes.NewReader(f), d.Scan(side)).Scan(); err != nil {
			t.Fatal(err)
		}
	}
}

func drawItems(t *rapid.T) map[place]item {
	n := rapid.IntRange(0, 60).Draw(t, "n")
	all := map[place]item{}
	for range n {
		k := place{uint64(rapid.IntRange(0, 1).Draw(t, "db")), rapid.StringMatching(`[ab]{1,2}(:[xyz]{1,3})?`).Draw(t, "key")}
		it := item{typ: rapid.SampledFrom([]byte{0, 1, 2, 4}).Draw(t, "type")}
		it.parts = rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c]{0,2}`), 1, 3, rapid.ID).Draw(t, "parts")
		if rapid.Bool().Draw(t, "expires") {
			it.expire = rapid.Int64Range(1, 2).Draw(t, "at")
		}
		all[k] = it
	}
	return all
}

// deal divides items among files.
func deal(t *rapid.T, all map[place]item, r *rand.Rand) (files [][]byte) {
	n := rapid.IntRange(1, 3).Draw(t, "files")
	for i := range n {
		some := map[place]item{}
		for k, it := range all {
			if len(k.key)%n == i {
				some[k] = it
			}
		}
		files = append(files, file(some, r))
	}
	return files
}

func same(x, y item) (value, expiry bool) {
	px, py := slices.Clone(x.parts), slices.Clone(y.parts)
	if x.typ == 0 && y.typ == 0 {
		px, py = px[:1], py[:1]
	} else if x.typ != 1 {
		slices.Sort(px)
		slices.Sort(py)
	}
	return x.typ == y.typ && slices.Equal(px, py), x.expire == y.expire
}

// The comparison of random maps is that of brute force, with partitions so small that they go to the file and are divided again.
func TestCompareAgreesWithBruteForce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		before := drawItems(t)
		after := maps.Clone(before)
		for k := range before {
			switch r.IntN(4) {
			case 0:
				delete(after, k)
			case 1:
				it := before[k]
				it.expire = 3
				after[k] = it
			}
		}
		maps.Copy(after, drawItems(t))
		o := Options{Dir: dir, Memory: rapid.SampledFrom([]int64{2000, 64 << 20}).Draw(t, "memory"), fanOut: rapid.IntRange(2, 5).Draw(t, "fan"), block: 100, Prefixes: 1000}
		d := New(o)
		defer d.Close()
		scan(t, d, A, deal(t, before, r)...)
		scan(t, d, B, deal(t, after, r)...)
		got := map[string]bool{}
		report, err := d.Compare(context.Background(), func(c Change) error {
			got[fmt.Sprint(c.Kind, c.DB, string(c.Key), c.Value, c.Expiry)] = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want, kept := map[string]bool{}, int64(0)
		for k, x := range before {
			y, ok := after[k]
			value, expiry := false, false
			if ok {
				value, expiry = same(x, y)
			}
			switch {
			case !ok:
				want[fmt.Sprint(Removed, k.db, k.key, false, false)] = true
			case !value || !expiry:
				want[fmt.Sprint(Changed, k.db, k.key, !value, !expiry)] = true
			default:
				kept++
			}
		}
		for k := range after {
			if _, ok := before[k]; !ok {
				want[fmt.Sprint(Added, k.db, k.key, false, false)] = true
			}
		}
		if !maps.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		if report.Same.Keys != kept || report.A.Keys != int64(len(before)) || report.B.Keys != int64(len(after)) || report.DuplicatesA+report.DuplicatesB != 0 {
			t.Fatalf("%+v; %d are the same", report, kept)
		}
		if report.Growth() != report.B.Bytes-report.A.Bytes {
			t.Fatalf("grew by %d: %+v", report.Growth(), report)
		}
		var sum Changes
		sum.Merge(report.Rest)
		for _, p := range report.Prefixes {
			sum.Merge(p.Changes)
		}
		if sum != report.Changes {
			t.Fatalf("prefixes add up to %+v, all is %+v", sum, report.Changes)
		}
		if n := len(report.Biggest); n != min(len(want), 10) {
			t.Fatalf("%d of %d changes are listed", n, len(want))
		}
	})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d files are left behind, %v", len(left), err)
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	one := file(map[place]item{{0, "k"}: {parts: []string{"old"}}}, r)
	two := file(map[place]item{{0, "k"}: {parts: []string{"new"}}, {0, "l"}: {parts: []string{"x"}}}, r)
	d := New(Options{Memory: 10}) // so that they would be divided for ever
	defer d.Close()
	scan(t, d, A, two, one)
	scan(t, d, B, two, one)
	report, err := d.Compare(t.Context(), nil)
	if err != nil || report.DuplicatesA != 1 || report.DuplicatesB != 1 || report.Different() || report.Same.Keys != 2 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A key that a forged file has millions of times is divided from the others, and no further.
func TestManyDuplicates(t *testing.T) {
	t.Parallel()
	const again = 100_000
	forged := []byte("REDIS0011")
	for i := range again {
		forged = append(forged, "\x00\x01k\x01v"...)
		if i%100 == 0 {
			forged = fmt.Appendf(forged, "\x00\x05%05d\x01v", i)
		}
	}
	forged = append(forged, 255, 0, 0, 0, 0, 0, 0, 0, 0)
	d := New(Options{Dir: t.TempDir(), Memory: 1 << 16, block: 4 << 10})
	defer d.Close()
	scan(t, d, A, forged)
	spilled := d.spill.end
	report, err := d.Compare(t.Context(), nil)
	if err != nil || report.DuplicatesA != again-1 || report.Removed.Keys != again/100+1 {
		t.Errorf("%+v, %v", report, err)
	}
	if d.spill.end > 3*spilled {
		t.Errorf("%d bytes were written, and %d in the end", spilled, d.spill.end)
	}
}

func TestTooManyPrefixes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	all := map[place]item{}
	for i := range 200 {
		all[place{0, fmt.Sprintf("p%d:x", i)}] = item{parts: []string{"v"}}
		all[place{0, fmt.Sprintf("many:%d", i)}] = item{parts: []string{"v"}}
	}
	d := New(Options{Prefixes: 20})
	defer d.Close()
	scan(t, d, B, file(all, r))
	report, err := d.Compare(t.Context(), nil)
	if err != nil || len(report.Prefixes) > 40 || report.Prefixes[0].Prefix != "many:" || report.Prefixes[0].Added.Keys != 200 || report.Rest.Added.Keys < 150 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	all := map[place]item{}
	for i := range 50 {
		all[place{0, fmt.Sprint(i)}] = item{parts: []string{"v"}}
	}
	f := file(all, r)
	d := New(Options{Dir: t.TempDir() + "/none", block: 10, fanOut: 2})
	if _, err := rdb.NewScanner(bytes.NewReader(f), d.Scan(A)).Scan(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
	d = New(Options{})
	defer d.Close()
	scan(t, d, A, f)
	stop := errors.New("stop")
	if _, err := d.Compare(t.Context(), func(Change) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("each fails: %v", err)
	}
	if _, err := d.Compare(t.Context(), nil); err == nil {
		t.Error("compared twice")
	}
	d = New(Options{})
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Compare(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func FuzzEntry(f *testing.F) {
	e := entry{id: hash128{1, 2}, digest: hash128{3, 4}, size: 5, expireAt: 6, db: 7, kind: 1, keyLen: 8, key: []byte("12345678")}
	f.Add(e.append(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		var e, again entry
		n, err := e.read(p)
		if err != nil {
			return
		}
		if m, err := again.read(e.append(nil)); err != nil || fmt.Sprint(e) != fmt.Sprint(again) || n > len(p) || m > n {
			t.Fatalf("%+v became %+v, %v", e, again, err)
		}
	})
}

func TestPrefixOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key, want string
		depth     int
	}{{"user:1:name", "user:", 1}, {"user:1:name", "user:1:", 2}, {"user:1", "user:", 2}, {"user", "", 1}, {"a/b", "a/", 1}, {strings.Repeat("x", 200) + ":y", "", 1}, {"", "", 1}} {
		if got := string(prefixOf([]byte(c.key), ":/|.", c.depth)); got != c.want {
			t.Errorf("%.20q at %d: %q", c.key, c.depth, got)
		}
	}
}
