package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
)

// fieldsThatExpire are hashes as each family stores them.
func fieldsThatExpire() map[string]struct{ valkey, redis, packed func(*builder) } {
	const early, late = 1_999_999_999_000, 1_999_999_999_500
	return map[string]struct{ valkey, redis, packed func(*builder) }{
		"some expire": {
			func(f *builder) {
				f.length(3).strings("a").raw(tiny(12)).le64(late).strings("b", "w").le64(1<<64-1).strings("c", "x").le64(early)
			},
			func(f *builder) {
				f.le64(early).length(3).length64(501).strings("a").raw(tiny(12)).length(0).strings("b", "w").length64(1).strings("c", "x")
			},
			func(f *builder) {
				f.le64(early).strings(blobOf("a", "12", fmt.Sprint(int64(late)), "b", "w", "0", "c", "x", fmt.Sprint(int64(early))))
			},
		},
		"none expires": {
			func(f *builder) { f.length(1).strings("a", "b").le64(1<<64 - 1) },
			func(f *builder) { f.le64(0).length(1).length(0).strings("a", "b") },
			func(f *builder) { f.le64(0).strings(blobOf("a", "b", "0")) },
		},
	}
}

// crossing is a file that becomes another one in a version.
type crossing struct {
	name     string
	version  int
	from, to []byte
}

// crossings are files of both families that go to both.
func crossings() (all []crossing) {
	record := func(version int, typ byte, value func(*builder)) []byte {
		f := newFile(version).selectDB(0).set("before", "b")
		for _, key := range []string{"g", "h", "i"} {
			value(f.bytes(opExpireMillis).le64(1e12).key(typ, key))
		}
		return f.set("after", "a").end()
	}
	for name, c := range fieldsThatExpire() {
		hash2, metadata := record(80, typeValkeyHash2, c.valkey), record(12, typeRedisHashTTL, c.redis)
		all = append(all, crossing{name, 12, hash2, metadata}, crossing{name, 80, metadata, hash2}, crossing{name, 80, record(12, typeRedisHashPackEx, c.packed), hash2},
			crossing{name, 80, hash2, hash2}, crossing{name, 12, metadata, metadata})
	}
	return all
}

// What one family stores in its own way becomes what the other one does.
func TestCrossing(t *testing.T) {
	t.Parallel()
	for _, c := range crossings() {
		for _, window := range []int{64, 4096, windowSize} {
			for _, batch := range []int{100, largestBatch} {
				files, _, err := splitting(SplitOptions{Version: c.version}, parts(1, false), window, batch, c.from)
				if err != nil || !bytes.HasSuffix(files[0][:len(files[0])-8], c.to[len("VALKEY080"):len(c.to)-8]) {
					t.Fatalf("%s to %d, window %d, batch %d: %.300q, %v", c.name, c.version, window, batch, files, err)
				}
			}
		}
		if c.version != 12 {
			continue
		}
		for _, window := range windows {
			var out bytes.Buffer
			sum, err := lower(newScanner(bytes.NewReader(c.from), Options{}, window), &out, 12)
			if err != nil || !bytes.Equal(out.Bytes(), c.to) {
				t.Fatalf("%s, window %d: %.300q, %v; want %.300q", c.name, window, out.Bytes(), err, c.to)
			}
			if sum.Types[typeRedisHashTTL] != 3 || sum.Types[typeValkeyHash2] != 0 || sum.Keys != 5 || LowestVersion(sum) != 12 || MinVersion(sum) != 12 {
				t.Errorf("%s: %+v", c.name, sum)
			}
		}
		if sum, err := NewScanner(bytes.NewReader(c.from), Options{}).Scan(); err != nil || LowestVersion(sum) != 12 || MinVersion(sum) != sum.Version {
			t.Errorf("%s: %+v, %v", c.name, sum, err)
		}
	}
}

// Hashes of any size come back from the other family as they were.
func TestCrossingAndBack(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 1000, 60_000} {
		var fields Hash
		for i := range n {
			fields = append(fields, Field{Name: fmt.Appendf(nil, "field %d", i), Value: []byte(strings.Repeat("v", i%200)), ExpireAt: int64(i%3) * (1e12 - int64(i))})
		}
		var file bytes.Buffer
		w, err := NewWriter(&file, WriterOptions{Version: 80})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(Meta{Key: []byte("h")}, fields); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var lowered bytes.Buffer
		if _, err := Lower(&file, &lowered, 12); err != nil {
			t.Fatal(err)
		}
		files, _, err := splitting(SplitOptions{Version: 80}, parts(1, false), windowSize, largestBatch, lowered.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range [][]byte{lowered.Bytes(), files[0]} {
			var got Data
			_, err := NewScanner(bytes.NewReader(f), Options{OnValue: func(_ *Record, v *Value) (err error) {
				got, err = v.Decode(1 << 30)
				return err
			}}).Scan()
			if err != nil || !reflect.DeepEqual(got, Data(fields)) {
				t.Errorf("%d fields, %.6s: %v", n, f, err)
			}
		}
	}
}

func TestCrossingFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file    []byte
		version int
		reason  string
	}{
		"cut in Redis'":      {cutOff(newFile(12).key(typeRedisHashTTL, "h").le64(1)), 80, "truncated"},
		"cut in a field":     {cutOff(newFile(12).key(typeRedisHashTTL, "h").le64(1).lengths(2, 0).strings("a")), 80, "truncated"},
		"cut in Valkey's":    {cutOff(newFile(80).key(typeValkeyHash2, "h").length(1).strings("a", "b")), 12, "truncated"},
		"too many":           {newFile(80).key(typeValkeyHash2, "h").length64(1 << 60).end(), 12, "a count of"},
		"before all times":   {newFile(80).key(typeValkeyHash2, "h").length(1).strings("a", "b").le64(1<<64 - 2).end(), 12, "expires at -2"},
		"pairs, not triples": {newFile(12).key(typeRedisHashPackEx, "h").le64(1).strings(blobOf("a", "b")).end(), 80, "the last element lacks"},
		"no listpack":        {newFile(12).key(typeRedisHashPackEx, "h").le64(1).strings("a").end(), 80, "a listpack of 1 bytes"},
	} {
		_, _, err := splitting(SplitOptions{Version: c.version}, parts(1, false), 64, 100, c.file)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
	failed := errors.New("failed")
	big := newFile(80).key(typeValkeyHash2, "h").length(100_000)
	for i := range 100_000 {
		big.strings(fmt.Sprintf("field %d", i), strings.Repeat("v", 50)).le64(1e12 + uint64(i))
	}
	file := big.end()
	for n := range 4 {
		if _, err := Lower(bytes.NewReader(file), &breaking{n, failed}, 12); !errors.Is(err, failed) {
			t.Errorf("write %d fails: %v", n, err)
		}
	}
	if _, err := Lower(bytes.NewReader(file), io.Discard, 11); !errors.Is(err, ErrCannotLower) {
		t.Errorf("to a version without: %v", err)
	}
}

// cutOff is a file without its end.
func cutOff(f *builder) []byte { return f.b }
