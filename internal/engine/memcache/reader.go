package memcache

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Reader reads replies. After an error other than *ReplyError and ErrBusy it must not be used any more.
type Reader struct {
	in  *bufio.Reader
	key []byte // of the value last read
	big []byte // a value that does not fit into the buffer of in
}

// NewReader reads replies from r.
func NewReader(r io.Reader) *Reader { return newReader(r, 128<<10) }

func newReader(r io.Reader, size int) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, max(size, 2*maxLine))}
}

// Line reads one line without its end. It is valid until the next call.
func (r *Reader) Line() ([]byte, error) {
	b, err := r.in.ReadSlice('\n')
	switch {
	case err == nil && len(b) <= maxLine:
	case err == nil || errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrProtocol, maxLine)
	case err == io.EOF:
		return nil, io.ErrUnexpectedEOF
	default:
		return nil, err
	}
	b = b[:len(b)-1]
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b, nil
}

// isError tells the lines by which a server refuses anything.
func isError(line []byte) bool {
	return bytes.HasPrefix(line, []byte("SERVER_ERROR")) || bytes.HasPrefix(line, []byte("CLIENT_ERROR")) || bytes.HasPrefix(line, []byte("ERROR"))
}

// Expect reads one line that must be the given one.
func (r *Reader) Expect(want string) error {
	line, err := r.Line()
	switch {
	case err != nil:
		return err
	case string(line) == want:
		return nil
	case isError(line):
		return &ReplyError{string(line)}
	}
	return protocolError("instead of "+want, line)
}

// Version reads the reply to version.
func (r *Reader) Version() (string, error) {
	line, err := r.Line()
	if err != nil {
		return "", err
	}
	if v, ok := bytes.CutPrefix(line, []byte("VERSION ")); ok && len(v) > 0 && len(v) <= 64 {
		return string(v), nil
	}
	if isError(line) {
		return "", &ReplyError{string(line)}
	}
	return "", protocolError("to version", line)
}

// Stats reads the reply to stats.
func (r *Reader) Stats() (map[string]string, error) {
	m := map[string]string{}
	for {
		line, err := r.Line()
		if err != nil {
			return nil, err
		}
		if string(line) == "END" {
			return m, nil
		}
		if isError(line) {
			return nil, &ReplyError{string(line)}
		}
		rest, ok := bytes.CutPrefix(line, []byte("STAT "))
		if !ok || len(m) == maxStats {
			return nil, protocolError("to stats", line)
		}
		name, value, _ := bytes.Cut(rest, []byte{' '})
		m[string(name)] = string(value)
	}
}

// Value is an item, as mg shows it.
type Value struct {
	Token  []byte // the key as it was asked for: as it is, or in base64
	Base64 bool
	Flags  uint32
	TTL    int64 // seconds that are left; -1 is for ever
	CAS    uint64
	Data   []byte
}

// Value reads the next value of a batch into v, where it is valid until the next call, or false at the end of the batch.
func (r *Reader) Value(v *Value) (bool, error) {
	line, err := r.Line()
	if err != nil {
		return false, err
	}
	if string(line) == "MN" {
		return false, nil
	}
	size, err := parseValue(line, v)
	if err != nil {
		return false, err
	}
	r.key = append(r.key[:0], v.Token...) // the line goes away
	v.Token = r.key
	v.Data, err = r.data(size)
	return err == nil, err
}

// data reads a block of n bytes and its end.
func (r *Reader) data(n int) ([]byte, error) {
	b, err := r.block(n + 2)
	if err != nil {
		return nil, err
	}
	if b[n] != '\r' || b[n+1] != '\n' {
		return nil, fmt.Errorf("%w: a value of %d bytes ends with %q", ErrProtocol, n, b[n:n+2])
	}
	return b[:n], nil
}

// block reads n bytes, which are valid until the next call.
func (r *Reader) block(n int) ([]byte, error) {
	if n <= r.in.Size() {
		b, err := r.in.Peek(n)
		if err != nil {
			return nil, ended(err)
		}
		r.in.Discard(n) //nolint:errcheck // they are there
		return b, nil
	}
	if cap(r.big) > 64<<20 && n < 1<<20 {
		r.big = nil
	}
	r.big = r.big[:0]
	for len(r.big) < n {
		if len(r.big) == cap(r.big) {
			grown := make([]byte, len(r.big), min(n, max(2*cap(r.big), 1<<20)))
			copy(grown, r.big)
			r.big = grown
		}
		got, err := r.in.Read(r.big[len(r.big):min(cap(r.big), n)])
		r.big = r.big[:len(r.big)+got]
		if err != nil {
			return nil, ended(err)
		}
	}
	return r.big, nil
}

func ended(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
