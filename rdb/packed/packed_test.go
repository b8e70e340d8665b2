package packed

import (
	"bytes"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// drain collects the elements as text, up to the error.
func drain(all iter.Seq2[Element, error]) (texts []string, err error) {
	for e, err := range all {
		if err != nil {
			return texts, err
		}
		texts = append(texts, string(e.Append(nil)))
	}
	return texts, nil
}

// edges are integers at the borders of every encoding.
func edges() (list []int64) {
	for _, v := range []int64{0, 12, 63, 127, 1 << 12, 1 << 15, 1 << 23, 1 << 31, 1 << 62, math.MaxInt64} {
		for d := int64(-1); d <= 1; d++ {
			list = append(list, v+d, -v+d)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// elements are texts of every form and of sizes around every border.
func elements() (list []string) {
	for _, v := range edges() {
		list = append(list, strconv.FormatInt(v, 10))
	}
	for _, n := range []int{0, 1, 62, 63, 64, 65, 124, 125, 126, 127, 128, 248, 249, 252, 253, 254, 255, 256, 4094, 4095, 4096, 16382, 16383, 16384, 1 << 17} {
		list = append(list, strings.Repeat("x", n))
	}
	return append(list, "-0", "007", "+1", "1.0", " 1", "-", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999", "\x00\xff")
}

func TestBuild(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	pool := elements()
	var lp ListpackBuilder
	var zl ZiplistBuilder
	for round := range 300 {
		lp.Reset()
		zl.Reset()
		var want []string
		for range rng.IntN(round + 1) {
			want = append(want, pool[rng.IntN(len(pool))])
		}
		if round == 0 {
			want = pool
		}
		for _, text := range want {
			lp.Add([]byte(text))
			zl.Add([]byte(text))
			if round%7 == 0 { // Bytes may be asked for in between
				lp.Bytes()
				zl.Bytes()
			}
		}
		for name, c := range map[string]struct {
			blob   []byte
			size   int
			all    iter.Seq2[Element, error]
			verify func() (int, error)
		}{
			"listpack": {lp.Bytes(), lp.Size(), lp.Bytes().All(), lp.Bytes().Verify},
			"ziplist":  {zl.Bytes(), zl.Size(), zl.Bytes().All(), zl.Bytes().Verify},
		} {
			got, err := drain(c.all)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s of %d elements: %d, %v", name, len(want), len(got), err)
			}
			if n, err := c.verify(); n != len(want) || err != nil {
				t.Fatalf("%s of %d elements: %d, %v", name, len(want), n, err)
			}
			if len(c.blob) != c.size {
				t.Fatalf("%s of %d bytes: Size says %d", name, len(c.blob), c.size)
			}
		}
	}
}

func TestIntset(t *testing.T) {
	t.Parallel()
	for _, values := range [][]int64{{0}, {-1 << 15, 1<<15 - 1}, {-1 << 15, 1 << 15}, {-1<<31 - 1, 0}, {-1 << 31, 1<<31 - 1}, edges()} {
		blob := AppendIntset([]byte("before"), values)[len("before"):]
		got, err := drain(Intset(blob).All())
		var want []string
		for _, v := range values {
			want = append(want, strconv.FormatInt(v, 10))
		}
		if n, verr := Intset(blob).Verify(); err != nil || verr != nil || n != len(values) || !slices.Equal(got, want) {
			t.Errorf("%v: %v, %v, %d, %v", values, got, err, n, verr)
		}
	}
}

func TestZipmap(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("v", 300)
	blob := "\x02\x03abc\x02\x03xy---\xfe\x2c\x01\x00\x00" + long + "\x00\x00\xff"
	got, err := drain(Zipmap(blob).All())
	if want := []string{"abc", "xy", long, ""}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if n, err := Zipmap(blob).Verify(); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestParseInteger(t *testing.T) {
	t.Parallel()
	for _, text := range elements() {
		v, err := strconv.ParseInt(text, 10, 64)
		want := err == nil && strconv.FormatInt(v, 10) == text
		got, ok := ParseInteger([]byte(text))
		if ok != want || ok && got != v {
			t.Errorf("%.30q: %d, %v", text, got, ok)
		}
		e := Element{Int: v, Number: true}
		if want && !bytes.Equal(e.Append(nil), []byte(text)) {
			t.Errorf("%q becomes %q", text, e.Append(nil))
		}
	}
}
