package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
)

// lending lends pieces of so many bytes, and spoils what was given back.
type lending struct {
	io.Reader
	piece int
	lent  []byte
	err   error // instead of io.EOF
}

func (l *lending) Lend() ([]byte, error) {
	for i := range l.lent {
		l.lent[i] = 0xee
	}
	p := make([]byte, LendRoom+l.piece)
	n, err := l.Read(p[LendRoom:])
	if n == 0 && err == io.EOF && l.err != nil {
		err = l.err
	}
	if err != nil {
		return nil, err
	}
	l.lent = p[:LendRoom+n]
	return l.lent, nil
}

// What is lent is scanned as what is read, whatever the pieces, and what follows
// the file is left.
func TestLender(t *testing.T) {
	t.Parallel()
	for _, smp := range samples() {
		want := told(t, bytes.NewReader(smp.file))
		for _, piece := range []int{1, 7, 100, 1 << 20} {
			l := &lending{Reader: bytes.NewReader(smp.file), piece: piece}
			if got := told(t, l); got != want {
				t.Errorf("%s in pieces of %d: %.1000s\nwant %.1000s", smp.name, piece, got, want)
			}
			var out bytes.Buffer
			s := NewScanner(&lending{Reader: bytes.NewReader(append(bytes.Clone(smp.file), "behind the file"...)), piece: piece}, Options{Tee: &out})
			if _, err := s.Scan(); err != nil || !bytes.Equal(out.Bytes(), smp.file) {
				t.Fatalf("%s in pieces of %d: %d bytes passed on, %v", smp.name, piece, out.Len(), err)
			}
			if rest, err := io.ReadAll(s.Rest()); err != nil || string(rest) != "behind the file" {
				t.Errorf("%s in pieces of %d: behind it %q, %v", smp.name, piece, rest, err)
			}
			_, deep := NewScanner(bytes.NewReader(smp.file), Options{Deep: true}).Scan() // which not all samples pass
			_, err := NewScanner(&lending{Reader: bytes.NewReader(smp.file), piece: piece}, Options{Deep: true}).Scan()
			if fmt.Sprint(err) != fmt.Sprint(deep) {
				t.Errorf("%s in pieces of %d, deep: %v, want %v", smp.name, piece, err, deep)
			}
		}
		broken := errors.New("broken")
		l := &lending{Reader: bytes.NewReader(smp.file[:len(smp.file)/2]), piece: 100, err: broken}
		if _, err := NewScanner(l, Options{}).Scan(); !errors.Is(err, broken) {
			t.Errorf("%s from a broken lender: %v", smp.name, err)
		}
	}
}
