package capture

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What goes in comes out, whatever the sizes, the pace of the two sides and the room in memory and in the spool.
func TestQueueKeepsEveryByteInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		o := Options{
			Buffer:   rapid.Int64Range(1, 3*chunkSize).Draw(t, "buffer"),
			Patience: time.Duration(rapid.IntRange(1, 1_000_000).Draw(t, "patience")),
			SpoolDir: dir,
			SpoolMax: rapid.SampledFrom([]int64{-1, 0, chunkSize, slotSize, 3 * slotSize}).Draw(t, "max"),
		}
		pace := rapid.SampledFrom([]int{0, 1, 50}).Draw(t, "pace")
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		want := make([]byte, rapid.IntRange(0, 12*chunkSize).Draw(t, "size"))
		for i := range want {
			want[i] = byte(rnd.Uint32())
		}
		q := newQueue(o, func() {})
		defer q.spool.close()
		var got bytes.Buffer
		done := make(chan error, 1)
		go func() {
			done <- q.drain(writerFunc(func(p []byte) (int, error) {
				for range pace {
					runtime.Gosched()
				}
				return got.Write(p)
			}))
		}()
		window := make([]byte, chunkSize+rapid.IntRange(0, 100).Draw(t, "more"))
		for at := 0; at < len(want); {
			if n := min(len(window)-rnd.IntN(chunkSize), len(want)-at); rnd.IntN(2) == 0 {
				copy(window, want[at:at+n])
				var err error
				if window, err = q.Exchange(window, n); err != nil || len(window) < chunkSize {
					t.Fatalf("a buffer of %d bytes, %v", len(window), err)
				}
				clear(window)
				at += n
				continue
			}
			n := min(1+rnd.IntN(2*chunkSize), len(want)-at)
			if _, err := q.Write(want[at : at+n]); err != nil {
				t.Fatal(err)
			}
			at += n
		}
		if err := q.close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%d bytes came out of %d, or others", got.Len(), len(want))
		}
		if q.spool != nil && o.SpoolMax > 0 && q.spool.slots*slotSize > o.SpoolMax {
			t.Fatalf("the spool took %d bytes, allowed were %d", q.spool.slots*slotSize, o.SpoolMax)
		}
	})
}

func TestQueueFailsBothSides(t *testing.T) {
	t.Parallel()
	reason := errors.New("cut")
	freed := make(chan struct{})
	q := newQueue(Options{Buffer: 1, SpoolMax: -1, Patience: time.Hour}, func() { close(freed) })
	wrote := make(chan error, 1)
	go func() { // nobody drains: it has to wait
		_, err := q.Write(make([]byte, 10*chunkSize))
		wrote <- err
	}()
	q.fail(reason)
	q.fail(errors.New("later"))
	<-freed
	if err := <-wrote; err != reason {
		t.Errorf("the reader got %v", err)
	}
	if err := q.drain(io.Discard); err != reason {
		t.Errorf("the writer got %v", err)
	}
}

func TestSpoolDetectsDamage(t *testing.T) {
	t.Parallel()
	s := &spool{dir: t.TempDir()}
	defer s.close()
	secret := bytes.Repeat([]byte("secret"), 1000)
	for range 2 {
		p, err := s.write(secret, s.take())
		if err != nil {
			t.Fatal(err)
		}
		s.add(p)
	}
	if names, err := os.ReadDir(s.dir); err != nil || len(names) != 0 {
		t.Errorf("the file has a name: %v %v", names, err)
	}
	raw := make([]byte, slotSize)
	s.file.ReadAt(raw, 0)
	if bytes.Contains(raw, []byte("secret")) {
		t.Error("the file is readable")
	}
	if b, err := s.read(s.pieces[0]); err != nil || !bytes.Equal(b, secret) {
		t.Errorf("read back: %v", err)
	}
	swapped := s.pieces[0]
	swapped.slot = 1
	if _, err := s.read(swapped); !errors.Is(err, ErrSpool) {
		t.Errorf("swapped pieces: %v", err)
	}
	s.file.WriteAt([]byte{raw[100] ^ 1}, 100)
	if _, err := s.read(s.pieces[0]); !errors.Is(err, ErrSpool) {
		t.Errorf("a flipped bit: %v", err)
	}
	if err := s.file.Truncate(10); err != nil {
		t.Fatal(err)
	}
	if _, err := s.read(s.pieces[1]); !errors.Is(err, ErrSpool) {
		t.Errorf("a cut file: %v", err)
	}
}
