package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// bar shows on a terminal how far long work is: share, rate and time left. Elsewhere it is silent.
type bar struct {
	mu    sync.Mutex
	s     *session
	what  string
	start time.Time
	shown time.Time
	live  bool
	noted string
}

func (s *session) progress(what string) *bar {
	return &bar{s: s, what: visible(what, false), start: time.Now(), live: s.output == "table" && terminal(s.err)}
}

// terminal tells whether a person reads what is written to w.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// note adds a few words behind the bar, such as how many keys were written. It may be called from any goroutine.
func (b *bar) note(text string) {
	b.mu.Lock()
	b.noted = text
	b.mu.Unlock()
}

// set draws the bar at most ten times a second. A total that is not known is below zero: then only the amount and the rate are
// shown. It may be called from any goroutine.
func (b *bar) set(done, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.live || total == 0 || time.Since(b.shown) < 100*time.Millisecond && (done < total || total < 0) {
		return
	}
	b.shown = time.Now()
	const width = 30
	elapsed := time.Since(b.start).Seconds()
	rate := float64(done) / max(elapsed, 0.001)
	if total < 0 {
		fmt.Fprintf(b.s.err, "\r\033[K%s %s  %s/s %s", b.what, bytes(done), bytes(int64(rate)), b.noted)
		return
	}
	done = min(done, total)
	full := int(width * done / total)
	left := time.Duration(float64(total-done) / max(rate, 1) * float64(time.Second)).Round(time.Second)
	fmt.Fprintf(b.s.err, "\r\033[K%s [%s%s] %3d%%  %s/s  %s left %s", b.what, strings.Repeat("#", full), strings.Repeat(".", width-full),
		100*done/total, bytes(int64(rate)), left, b.noted)
}

// end removes the bar.
func (b *bar) end() {
	if b.live {
		fmt.Fprint(b.s.err, "\r\033[K")
	}
}
