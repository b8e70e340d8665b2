package disk_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/keyframe/keyframe/internal/blob"
)

// Objects around the size of a block go through every turn between direct and buffered writes, and come back as they were.
func TestSizesAroundABlock(t *testing.T) {
	t.Parallel()
	const block = 1 << 20
	b := open(t)
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 3*block+4097)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	for _, size := range []int{0, 1, 4095, 4096, block - 1, block, block + 1, block + 4096, 2*block - 1, 2 * block, 2*block + 1, 3*block + 4097} {
		for _, most := range []int{4097, block, len(data)} {
			key := fmt.Sprintf("k/%d-%d", size, most)
			w, err := b.Create(t.Context(), key, blob.CreateOptions{IfAbsent: true})
			if err != nil {
				t.Fatal(err)
			}
			for rest := data[:size]; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(most))
				if _, err := w.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := w.Commit(); err != nil {
				t.Fatal(err)
			}
			got, err := blob.Get(t.Context(), b, key, int64(size))
			if err != nil || !bytes.Equal(got, data[:size]) {
				t.Errorf("%d bytes in pieces of up to %d: got %d, %v", size, most, len(got), err)
			}
		}
	}
}
