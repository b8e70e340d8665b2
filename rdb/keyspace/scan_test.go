package keyspace

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/keyframe/keyframe/rdb"
)

// A scan with one processor and with several says the same, and what the collector
// says that met the records.
func TestScan(t *testing.T) {
	f := newFile()
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range 5000 {
		if i == 2000 {
			f.selectDB(7)
		}
		key := fmt.Appendf(nil, "a%d:b:%d", i%11, i)
		if i%100 == 0 {
			key = bytes.Repeat(key, 1000)
		}
		f.set(key, rng.IntN(300), int64(i%4)*1e12)
	}
	data := f.end()
	procs := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(procs)
	var reports []string
	for _, n := range []int{1, 2} {
		runtime.GOMAXPROCS(n)
		r, sum, err := Scan(bytes.NewReader(data), Options{At: moment(1e12), ReadAhead: true})
		if err != nil {
			t.Fatal(err)
		}
		if r.Keys != sum.Keys || r.Keys != int64(f.keys) || r.FileBytes != int64(len(data)) || r.Bytes >= r.FileBytes || r.Bytes < r.FileBytes-100 {
			t.Errorf("%d keys, %d of %d bytes; the file has %d and %d", r.Keys, r.Bytes, r.FileBytes, f.keys, len(data))
		}
		reports = append(reports, asJSON(t, r))
	}
	if reports[0] != reports[1] {
		t.Errorf("one processor\n%s\ntwo\n%s", reports[0], reports[1])
	}
	for _, n := range []int{1, 2} {
		runtime.GOMAXPROCS(n)
		for _, end := range []int{0, 9, 11, 300, len(data) / 2, len(data) - 1} {
			if r, _, err := Scan(bytes.NewReader(data[:end]), Options{}); !errors.Is(err, rdb.ErrCorrupt) || r != nil {
				t.Errorf("%d of %d bytes: %v, %v", end, len(data), r, err)
			}
		}
		r, _, err := Scan(bytes.NewReader(newFile().end()), Options{Slots: true})
		if err != nil || r.Keys != 0 || r.At.IsZero() || len(r.Sizes) != 0 || r.Slots.Used != 0 {
			t.Errorf("empty: %+v, %v", r, err)
		}
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// FuzzKeys feeds arbitrary keys, and holds the report to an exact count.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("a:b\x00user:{1}:x\x00\xff\xfe"), uint16(3))
	f.Add([]byte("{}\x00{\x00}{a}\x00{{a}}:::\x00"), uint16(4500))
	f.Add(bytes.Repeat([]byte("k."), 400), uint16(4990))
	f.Fuzz(func(t *testing.T, data []byte, more uint16) {
		if len(data) > 10_000 {
			return
		}
		var records []rdb.Record
		for i, key := range bytes.Split(data, []byte{0}) {
			records = append(records, rdb.Record{Size: int64(3 + len(key)*i), Key: key, Slot: rdb.KeySlot(key), Type: byte(i)})
		}
		// Many keys made of these, so that the sketch gets full.
		more %= 5000
		for i := range int(more) {
			key := fmt.Appendf(nil, "%d:", i*7919%int(more))
			key = append(key, records[i%min(len(records), 50)].Key...)
			records = append(records, rdb.Record{Size: int64(i % 1000), Key: key, Slot: rdb.KeySlot(key), Type: byte(i)})
		}
		e := exactly(records)
		c := collect(records, Options{Slots: true})
		r := c.Report()
		checkBounds(t, r, e)
		if out := asJSON(t, r); len(out) > 2*MaxReport { // it is indented
			t.Fatalf("%d bytes", len(out))
		}
		half := collect(records[:len(records)/2], Options{Slots: true})
		half.Merge(collect(records[len(records)/2:], Options{Slots: true}))
		checkBounds(t, half.Report(), e)
	})
}
