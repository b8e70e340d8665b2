package keyspace

import (
	"io"
	"os"
	"sync"

	"github.com/keyframe/keyframe/rdb"
)

// Pieces that are read ahead: so many, of so many bytes.
const (
	aheadPieces = 4
	aheadBytes  = 256 << 10
)

// ahead reads in a goroutine of its own, and lends the scanner what it has read. The
// processor that copies the bytes of a file out of the page cache is then not the one
// that sums, walks and counts them.
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
			p = make([]byte, rdb.LendRoom+aheadBytes)
		}
		p = p[:cap(p)]
		var n int
		for empty := 0; n == 0 && a.err == nil; {
			if n, a.err = a.src.Read(p[rdb.LendRoom:]); n == 0 {
				if empty++; empty == 100 && a.err == nil {
					a.err = io.ErrNoProgress
				}
			}
		}
		if n > 0 {
			a.full <- p[:rdb.LendRoom+n] // there are no more pieces than it has room for
		}
		if a.err != nil {
			return
		}
	}
}

// Lend implements rdb.Lender.
func (a *ahead) Lend() ([]byte, error) {
	if a.cur != nil && !a.stopped {
		a.free <- a.cur
	}
	if a.cur = <-a.full; a.cur == nil {
		return nil, a.err
	}
	return a.cur, nil
}

// Read implements io.Reader. After stop it reads what is left, and then src itself.
func (a *ahead) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		piece, err := a.Lend()
		if err != nil {
			return 0, err
		}
		if piece == nil {
			return a.src.Read(p)
		}
		a.rest = piece[rdb.LendRoom:]
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
