package resp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// A command waits no longer than the connection's limit, also where its context would have it wait. Without a limit it is not cut.
func TestLimitOfACommand(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	answers := make(chan struct{})
	go func() {
		in := make([]byte, 1<<10)
		for {
			if _, err := b.Read(in); err != nil {
				return
			}
			if _, ok := <-answers; !ok {
				io.Copy(io.Discard, b) //nolint:errcheck // it ends with the test
				return
			}
			b.Write([]byte("+OK\r\n")) //nolint:errcheck // the reader says so
		}
	}()
	const limit = 20 * time.Millisecond
	c := NewConn(a, Limits{})
	time.AfterFunc(5*limit, func() { answers <- struct{}{} })
	if _, err := c.Do(context.Background(), "PING"); err != nil {
		t.Fatalf("without a limit: %v", err)
	}
	c.Limit = func() time.Duration { return limit }
	close(answers)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := c.Do(ctx, "PING"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a mute engine: %v", err)
	}
	if _, err := c.Do(t.Context(), "PING"); !errors.Is(err, ErrBroken) {
		t.Errorf("afterwards: %v", err)
	}
}
