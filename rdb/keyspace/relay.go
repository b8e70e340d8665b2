package keyspace

import (
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"sync"

	"github.com/keyframe/keyframe/rdb"
)

// relayPiece is what is read in one go. It fits a core's second-level cache.
const relayPiece = 512 << 10

// A relay is run by two: each reads a piece, and then walks and counts that same
// piece while the other reads the next. Nothing travels from one core's cache to
// the other's, which would cost what a second core saves. The scan is a coroutine,
// which goes on in whoever has the baton.
type relay struct {
	src         io.Reader
	reads, runs [2]chan struct{} // whose turn it is
	readErr     error            // of src, behind what was read

	lent  []byte // or err
	err   error
	yield func(struct{}) bool // waits for the next of lent
	over  bool                // the scan has ended
	panic any                 // of the scan, or in it that of src
	left  []byte              // was read, and the scan did not ask for it
}

// relayed calls scan with a source that has what src has. It returns when scan does.
func relayed(src io.Reader, scan func(rdb.Lender)) {
	r := &relay{src: src}
	for i := range 2 {
		r.reads[i], r.runs[i] = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	resume, stop := iter.Pull(func(yield func(struct{}) bool) {
		defer func() { r.panic = recover() }()
		r.yield = yield
		scan(r)
	})
	defer stop()
	if _, more := resume(); more {
		r.reads[0] <- struct{}{}
		r.runs[0] <- struct{}{}
		var second sync.WaitGroup
		second.Go(func() { r.runner(1, resume) })
		r.runner(0, resume)
		second.Wait()
	}
	if r.panic != nil {
		panic(r.panic) // in the goroutine that can recover
	}
}

func (r *relay) runner(me int, resume func() (struct{}, bool)) {
	room := make([]byte, rdb.LendRoom+relayPiece)
	for other := 1 - me; ; {
		await(r.reads[me])
		n := r.read(room[rdb.LendRoom:])
		err := r.readErr
		r.reads[other] <- struct{}{}
		await(r.runs[me])
		if r.over {
			r.left = room[rdb.LendRoom : rdb.LendRoom+n]
			return
		}
		if r.lent, r.err = room[:rdb.LendRoom+n], nil; n == 0 {
			r.lent, r.err = nil, err
		}
		_, more := resume()
		r.over = !more
		r.runs[other] <- struct{}{}
		if !more {
			return
		}
	}
}

// read fills p, unless src ends or fails.
func (r *relay) read(p []byte) (n int) {
	defer func() {
		if p := recover(); p != nil {
			r.readErr = panicked{p}
		}
	}()
	for empty := 0; n < len(p) && r.readErr == nil; {
		var k int
		if k, r.readErr = r.src.Read(p[n:]); k > 0 {
			n += k
			empty = 0
		} else if empty++; empty == 100 && r.readErr == nil {
			r.readErr = io.ErrNoProgress
		}
	}
	return n
}

// await takes a turn. It looks again for a while before it sleeps: to be woken takes
// as long as to walk a piece.
func await(turn <-chan struct{}) {
	for range 1000 {
		select {
		case <-turn:
			return
		default:
			runtime.Gosched()
		}
	}
	<-turn
}

// Lend implements rdb.Lender.
func (r *relay) Lend() ([]byte, error) {
	if !r.yield(struct{}{}) {
		return nil, io.ErrUnexpectedEOF // nobody runs it any more
	}
	if p, ok := r.err.(panicked); ok {
		panic(p.value)
	}
	return r.lent, r.err
}

// panicked stands for a panic of the source, until the scan comes to it.
type panicked struct{ value any }

func (p panicked) Error() string { return fmt.Sprint("panic: ", p.value) }

// Read implements io.Reader, for what is behind the file, when the scan is over.
func (r *relay) Read(p []byte) (int, error) {
	if len(r.left) > 0 {
		n := copy(p, r.left)
		r.left = r.left[n:]
		return n, nil
	}
	if r.readErr != nil {
		return 0, r.readErr
	}
	return r.src.Read(p)
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
