package lzf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// careful decodes item by item with every bound in sight: what the others are
// held against.
func careful(src []byte) (text []byte, err error) {
	for len(src) > 0 {
		c := int(src[0])
		src = src[1:]
		if c < 32 {
			if c+1 > len(src) {
				return append(text, src...), ErrCorrupt
			}
			text = append(text, src[:c+1]...)
			src = src[c+1:]
			continue
		}
		n, distance, next, ok := reference(src, 0, c)
		if !ok || distance > len(text) {
			return text, ErrCorrupt
		}
		src = src[next:]
		for range n {
			text = append(text, text[len(text)-distance])
		}
	}
	return text, nil
}

// agree holds all ways of unpacking against each other on one block, which is
// claimed to hold n bytes.
func agree(t *testing.T, packed []byte, n int) {
	t.Helper()
	want, bad := careful(packed)
	good := bad == nil && len(want) == n
	dst := make([]byte, n)
	if err := Decode(dst, packed); (err == nil) != good || err != nil && !errors.Is(err, ErrCorrupt) {
		t.Fatalf("Decode of %x to %d: %v; it holds %d, %v", packed, n, err, len(want), bad)
	}
	if err := Check(packed, n); (err == nil) != good || err != nil && !errors.Is(err, ErrCorrupt) {
		t.Fatalf("Check of %x for %d: %v; it holds %d, %v", packed, n, err, len(want), bad)
	}
	prefix, err := AppendPrefix(nil, packed, n)
	if !bytes.Equal(prefix, want[:min(n, len(want))]) || len(prefix) > MaxRatio*len(packed) || err == nil && len(prefix) < n && bad != nil {
		t.Fatalf("AppendPrefix of %x to %d: %q, %v; it holds %q, %v", packed, n, prefix, err, want, bad)
	}
	got, err := io.ReadAll(NewReader(bytes.NewReader(packed), int64(n)))
	if (err == nil) != good || !bytes.HasPrefix(want, got) || good && !bytes.Equal(dst, got) {
		t.Fatalf("Reader of %x for %d: %d bytes, %v; it holds %d, %v", packed, n, len(got), err, len(want), bad)
	}
	if good && !bytes.Equal(dst, want) {
		t.Fatalf("Decode of %x: %q, want %q", packed, dst, want)
	}
}

// texts are of the kinds that caches hold, and of those that compressors dislike.
func texts() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 70_000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	all := map[string][]byte{
		"nothing": {}, "one": {7}, "three": []byte("abc"), "four": []byte("aaaa"),
		"noise": noise, "zeros": make([]byte, 100_000), "one run": bytes.Repeat([]byte{'x'}, maxReference+1),
	}
	for _, period := range []int{2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 100, 8191, 8192, 8193} {
		all[fmt.Sprintf("period %d", period)] = bytes.Repeat(noise[:period], 40_000/period+2)
	}
	var json, few, mixed strings.Builder
	for i := range 400 {
		fmt.Fprintf(&json, `{"id":%d,"name":"user-%d","active":%v,"score":%d.5}`, i, rng.IntN(1e6), i%3 == 0, rng.IntN(100))
		few.WriteByte("ab"[rng.IntN(2)])
		mixed.Write(noise[rng.IntN(1000):][:rng.IntN(90)])
	}
	all["json"], all["two letters"], all["pieces of noise"] = []byte(json.String()), []byte(few.String()), []byte(mixed.String())
	return all
}

func TestAppendAndBack(t *testing.T) {
	t.Parallel()
	for name, text := range texts() {
		for n := 0; n <= len(text); n += 1 + n/7 {
			packed := Append([]byte("kept"), text[:n])
			if !bytes.HasPrefix(packed, []byte("kept")) {
				t.Fatalf("%s: what was in dst is gone", name)
			}
			packed = packed[4:]
			if most := n + (n+31)/32; len(packed) > most {
				t.Fatalf("%s: %d bytes of %d, at most %d", name, len(packed), n, most)
			}
			agree(t, packed, n)
			if text2, err := careful(packed); err != nil || !bytes.Equal(text2, text[:n]) {
				t.Fatalf("%s, %d bytes: comes back as %d others, %v", name, n, len(text2), err)
			}
			for _, wrong := range []int{n - 1, n + 1} {
				if err := Check(packed, wrong); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("%s: Check for %d of %d: %v", name, wrong, n, err)
				}
			}
		}
	}
}

// What repeats gets shorter.
func TestAppendPacks(t *testing.T) {
	t.Parallel()
	all := texts()
	for name, most := range map[string]int{"json": 50, "zeros": 2, "period 100": 5, "period 8192": 40, "two letters": 60} {
		if n := len(Append(nil, all[name])); n*100 > most*len(all[name]) {
			t.Errorf("%s: %d bytes of %d, more than %d%%", name, n, len(all[name]), most)
		}
	}
}

// One encoder goes on to the next block: nothing of the one before may show.
func TestAppendForgets(t *testing.T) {
	t.Parallel()
	e := &encoder{base: 1<<32 - 300} // it starts anew soon
	for i := range 20 {
		text := bytes.Repeat([]byte("the same words"), 3+i)
		got, err := careful(e.append(nil, text))
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("block %d: %q, %v", i, got, err)
		}
	}
}

// A reader may get the block in any pieces, and give the text in any.
func TestReaderPieces(t *testing.T) {
	t.Parallel()
	for name, text := range texts() {
		packed := Append(nil, text)
		for how, src := range map[string]io.Reader{
			"bytes": iotest.OneByteReader(bytes.NewReader(packed)), "halves": iotest.HalfReader(bytes.NewReader(packed)),
			"data with EOF": iotest.DataErrReader(bytes.NewReader(packed)),
		} {
			got, err := io.ReadAll(iotest.HalfReader(NewReader(src, int64(len(text)))))
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s by %s: %d bytes of %d, %v", name, how, len(got), len(text), err)
			}
		}
		var out bytes.Buffer
		r := NewReader(strings.NewReader("\xff"), 5) // Reset forgets
		r.Reset(bytes.NewReader(packed), int64(len(text)))
		if n, err := r.WriteTo(&out); err != nil || n != int64(len(text)) || !bytes.Equal(out.Bytes(), text) {
			t.Errorf("%s: WriteTo %d, %v", name, n, err)
		}
	}
}

func TestReaderErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	packed := Append(nil, texts()["json"])
	n, err := io.Copy(io.Discard, NewReader(io.MultiReader(bytes.NewReader(packed[:1000]), iotest.ErrReader(broken)), 1e6))
	if !errors.Is(err, broken) || n == 0 {
		t.Errorf("%d bytes, %v; want the source's error behind what came before", n, err)
	}
	if _, err := io.Copy(io.Discard, NewReader(iotest.ErrReader(nil), 1)); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a source that gives nothing: %v", err)
	}
	if _, err := io.ReadAll(NewReader(bytes.NewReader(nil), 1)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("nothing for one byte: %v", err)
	}
}

// A block of a great size goes through in little memory.
func TestReaderLarge(t *testing.T) {
	t.Parallel()
	const runs = 1 << 20 // of 264 bytes
	item := []byte{0xe0, 0xff, 0}
	src := io.MultiReader(strings.NewReader("\x00a"), io.LimitReader(&cycle{p: item}, runs*int64(len(item))))
	n, err := io.Copy(io.Discard, NewReader(src, 1+runs*maxReference))
	if err != nil || n != 1+runs*maxReference {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// cycle repeats its bytes without end.
type cycle struct {
	p  []byte
	at int
}

func (c *cycle) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = c.p[c.at%len(c.p)]
		c.at++
	}
	c.at %= len(c.p)
	return len(p), nil
}

// Blocks of random items, most of them sound, some broken in one byte.
func TestRandomItems(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		var packed []byte
		n := 0
		for range rng.IntN(60) {
			if n == 0 || rng.IntN(3) == 0 {
				k := 1 + rng.IntN(maxLiteral)
				packed = append(packed, byte(k-1))
				for range k {
					packed = append(packed, byte(rng.Uint32()))
				}
				n += k
				continue
			}
			k := shortest + rng.IntN([]int{7, 30, maxReference - shortest + 1}[rng.IntN(3)])
			packed = appendReference(packed, k, 1+rng.IntN(min(n, []int{4, 20, maxDistance}[rng.IntN(3)])))
			n += k
		}
		agree(t, packed, n)
		if len(packed) > 0 {
			packed[rng.IntN(len(packed))] ^= 1 << rng.IntN(8)
			agree(t, packed, n)
			agree(t, packed[:rng.IntN(len(packed))], n)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range streams {
		f.Add([]byte(s.packed), len(s.text))
	}
	f.Add([]byte("\xff"), 9)
	f.Add([]byte("\x20\x00"), 3)
	f.Add(bytes.Repeat([]byte("\x00a\xe0\xff\x00"), 40), 40*265)
	f.Fuzz(func(t *testing.T, packed []byte, n int) {
		if n < 0 || n > 1<<20 || len(packed) > 1<<13 {
			return
		}
		agree(t, packed, n)
		if text, err := careful(packed); err == nil {
			agree(t, packed, len(text))
		}
	})
}

func FuzzAppend(f *testing.F) {
	for _, text := range texts() {
		f.Add(text[:min(len(text), 500)])
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		packed := Append(nil, text)
		agree(t, packed, len(text))
		if got, err := careful(packed); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%q comes back as %q, %v", text, got, err)
		}
	})
}

func benchmark(b *testing.B, f func(packed, text []byte) error) {
	for _, name := range []string{"json", "zeros", "pieces of noise"} {
		text := texts()[name]
		packed := Append(nil, text)
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if err := f(packed, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	dst := make([]byte, 1<<20)
	benchmark(b, func(packed, text []byte) error { return Decode(dst[:len(text)], packed) })
}

func BenchmarkCheck(b *testing.B) {
	benchmark(b, func(packed, text []byte) error { return Check(packed, len(text)) })
}

func BenchmarkReader(b *testing.B) {
	r, src := NewReader(nil, 0), bytes.NewReader(nil)
	benchmark(b, func(packed, text []byte) error {
		src.Reset(packed)
		r.Reset(src, int64(len(text)))
		_, err := r.WriteTo(io.Discard)
		return err
	})
}

func BenchmarkAppend(b *testing.B) {
	var dst []byte
	benchmark(b, func(_, text []byte) error { dst = Append(dst[:0], text); return nil })
}

func BenchmarkAppendPrefix(b *testing.B) {
	var dst []byte
	benchmark(b, func(packed, text []byte) (err error) {
		dst, err = AppendPrefix(dst[:0], packed, len(text))
		return err
	})
}
