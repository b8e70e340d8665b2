package disk

import (
	"os"
	"sync"
	"unsafe"
)

// A large object goes to the disk in blocks of this size, past the page cache where the file system allows it: a snapshot is
// written once and seldom read, and its pages would push out those of the engines. It also spares the copy.
const blockSize = 1 << 20

// alignment is what direct writes ask of addresses, offsets and lengths.
const alignment = 4096

// blocks are aligned buffers of blockSize.
var blocks = sync.Pool{New: func() any {
	raw := make([]byte, blockSize+alignment)
	skip := (alignment - int(uintptr(unsafe.Pointer(&raw[0]))%alignment)) % alignment
	b := raw[skip : skip+blockSize : skip+blockSize]
	return &b
}}

// blockFile is a file that is written from its start to its end.
type blockFile struct {
	f       *os.File
	block   *[]byte // nil before the first byte and after the end
	n       int     // bytes in block
	written int64   // bytes before block
	direct  bool
	flushed int64 // bytes whose write-back was asked for, when not direct
}

// Write fills blocks and writes full ones.
func (w *blockFile) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if w.block == nil {
			w.block = blocks.Get().(*[]byte)
		}
		if w.n == blockSize {
			if err := w.flush(blockSize); err != nil {
				return n, err
			}
		}
		k := copy((*w.block)[w.n:], p)
		w.n += k
		n, p = n+k, p[k:]
	}
	return n, nil
}

// flush writes the first size bytes of the block. A file with more than one block is worth writing directly.
func (w *blockFile) flush(size int) error {
	if w.written == 0 && size == blockSize {
		w.direct = setDirect(w.f, true)
	}
	k, err := w.f.Write((*w.block)[:size])
	if err != nil && w.direct && k == 0 {
		// The file system took the flag and not the write.
		w.direct = !setDirect(w.f, false)
		k, err = w.f.Write((*w.block)[:size])
	}
	w.written += int64(k)
	if err != nil {
		return err
	}
	w.n = 0
	if !w.direct && w.written-w.flushed >= flushEvery {
		startWriteback(w.f, w.flushed, w.written-w.flushed)
		w.flushed = w.written
	}
	return nil
}

// finish writes what is left and makes everything durable.
func (w *blockFile) finish() error {
	if w.n > 0 {
		if w.direct {
			w.direct = !setDirect(w.f, false) // the rest is no multiple of the alignment
		}
		if err := w.flush(w.n); err != nil {
			return err
		}
	}
	w.release()
	return w.f.Sync()
}

func (w *blockFile) release() {
	if w.block != nil {
		blocks.Put(w.block)
		w.block, w.n = nil, 0
	}
}
