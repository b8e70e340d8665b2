package keyspace

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/keyframe/keyframe/rdb"
)

// What two runners read arrives in order and as it is, with its error at the end. If
// the scan ends in the middle, the rest is left to be read, first of what was lent last.
func TestRelay(t *testing.T) {
	t.Parallel()
	data := make([]byte, 5*relayPiece+12345)
	rand.NewChaCha8([32]byte{5}).Read(data)
	broken := errors.New("broken")
	for _, take := range []int{0, 1, relayPiece, relayPiece + 1, 3*relayPiece + 1, len(data) - 1, len(data)} {
		for name, src := range map[string]io.Reader{"whole": bytes.NewReader(data), "halves": iotest.HalfReader(bytes.NewReader(data)),
			"error": io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)), "late error": iotest.DataErrReader(bytes.NewReader(data))} {
			var got []byte
			var rest io.Reader
			relayed(src, func(l rdb.Lender) {
				rest = l
				for len(got) < take {
					p, err := l.Lend()
					if err != nil {
						t.Errorf("%s: after %d bytes: %v", name, len(got), err)
						return
					}
					got = append(got, p[rdb.LendRoom:]...)
				}
			})
			if len(got) < take || len(got) > take+relayPiece {
				t.Errorf("%s: %d bytes were lent, %d wanted", name, len(got), take)
			}
			behind, err := io.ReadAll(rest)
			if name == "error" && !errors.Is(err, broken) || name != "error" && err != nil || !bytes.Equal(append(got, behind...), data) {
				t.Errorf("%s: %d lent and %d left, of %d, %v", name, len(got), len(behind), len(data), err)
			}
		}
	}
}

// The scan hears of an error behind the last bytes, each time it asks, and only then.
func TestRelayEnds(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for want, src := range map[error]io.Reader{io.EOF: bytes.NewReader([]byte("ab")), broken: io.MultiReader(bytes.NewReader([]byte("ab")), iotest.ErrReader(broken)),
		io.ErrNoProgress: io.MultiReader(bytes.NewReader([]byte("ab")), idle{})} {
		relayed(src, func(l rdb.Lender) {
			if p, err := l.Lend(); err != nil || string(p[rdb.LendRoom:]) != "ab" {
				t.Errorf("%v: %d bytes, %v", want, len(p), err)
			}
			for range 3 {
				if p, err := l.Lend(); err != want || p != nil {
					t.Errorf("%v: %d bytes, %v", want, len(p), err)
				}
			}
		})
	}
}

// A panic, of the source or of the scan, comes to the caller, who can recover.
func TestRelayPanics(t *testing.T) {
	t.Parallel()
	for _, pieces := range []int{0, 1, 2, 3} {
		src := io.LimitReader(zeros{}, int64(pieces)*relayPiece)
		for name, run := range map[string]func(){
			"source": func() { relayed(io.MultiReader(src, zeros{panics: true}), drain) },
			"scan": func() {
				relayed(zeros{}, func(l rdb.Lender) {
					for range pieces {
						l.Lend() //nolint:errcheck // zeros have no end
					}
					panic("oh")
				})
			},
		} {
			func() {
				defer func() {
					if p := recover(); p != "oh" {
						t.Errorf("%s after %d pieces: %v", name, pieces, p)
					}
				}()
				run()
			}()
		}
	}
}

func drain(l rdb.Lender) {
	for {
		if _, err := l.Lend(); err != nil {
			return
		}
	}
}

type zeros struct{ panics bool }

func (z zeros) Read(p []byte) (int, error) {
	if z.panics {
		panic("oh")
	}
	clear(p)
	return len(p), nil
}
