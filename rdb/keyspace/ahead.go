package keyspace

import (
	"io"
	"os"
	"sync"
)

// Pieces that are read ahead: so many, of so many bytes.
const (
	aheadPieces = 4
	aheadBytes  = 256 << 10
)

// ahead reads in a goroutine of its own. The processor that copies the bytes of a
// file out of the page cache is then not the one that walks them.
type ahead struct {
	src        io.Reader
	full, free chan []byte
	quit       chan struct{}
	wg         sync.WaitGroup

	err       error // of src; to be looked at when full is closed
	cur, rest []byte
	stopped   bool
}

// readAhead begins to read. It must be stopped.
func readAhead(src io.Reader) *ahead {
	a := &ahead{src: src, full: make(chan []byte, aheadPieces), free: make(chan []byte, aheadPieces), quit: make(chan struct{})}
	for range aheadPieces {
		a.free <- nil
	}
	a.wg.Go(a.run)
	return a
}

func (a *ahead) run() {
	defer close(a.full)
	for {
		var p []byte
		select {
		case p = <-a.free:
		case <-a.quit:
			return
		}
		if p == nil {
			p = make([]byte, aheadBytes)
		}
		var n int
		for empty := 0; n == 0 && a.err == nil; {
			if n, a.err = a.src.Read(p[:aheadBytes]); n == 0 {
				if empty++; empty == 100 && a.err == nil {
					a.err = io.ErrNoProgress
				}
			}
		}
		if n > 0 {
			a.full <- p[:n] // there are no more pieces than it has room for
		}
		if a.err != nil {
			return
		}
	}
}

// Read implements io.Reader. After stop it reads what is left, and then src itself.
func (a *ahead) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		if a.cur != nil && !a.stopped {
			a.free <- a.cur
		}
		var ok bool
		if a.cur, ok = <-a.full; !ok {
			if a.err != nil {
				return 0, a.err
			}
			return a.src.Read(p)
		}
		a.rest = a.cur
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// stop ends the goroutine. It waits for a read that is under way.
func (a *ahead) stop() {
	close(a.quit)
	a.wg.Wait()
	a.stopped = true
}

// ends tells that reads of r never wait for somebody.
func ends(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}
