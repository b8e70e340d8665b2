package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// ErrProtocol marks bytes that are not RESP, or that exceed the limits. The connection cannot be used after it.
var ErrProtocol = errors.New("resp: protocol error")

// Limits bound what one reply may take. Zero fields take the defaults.
type Limits struct {
	Bulk  int // bytes of one string; 64 MiB
	Total int // bytes of all strings in one reply; 256 MiB
	Elems int // elements in one reply, nested ones counted; 1 Mi
	Depth int // nesting; 16
}

func (l Limits) orDefault() Limits {
	set := func(p *int, d int) {
		if *p <= 0 {
			*p = d
		}
	}
	set(&l.Bulk, 64<<20)
	set(&l.Total, 256<<20)
	set(&l.Elems, 1<<20)
	set(&l.Depth, 16)
	return l
}

// maxLine bounds a line: a header, a simple string, an error.
const maxLine = 64 << 10

// Reader decodes replies from a stream.
type Reader struct {
	b      *bufio.Reader
	limits Limits
	bytes  int // left for the reply being read
	elems  int
}

// NewReader decodes from r within the limits.
func NewReader(r io.Reader, l Limits) *Reader {
	return &Reader{b: bufio.NewReaderSize(r, 16<<10), limits: l.orDefault()}
}

// Read returns the next reply. RESP3 push messages and attributes are skipped. An error reply at the top is a Value of
// ErrorKind here; Conn turns it into an error. io.EOF means that the stream ended between replies.
func (r *Reader) Read() (Value, error) {
	for {
		if _, err := r.b.Peek(1); err != nil {
			return Value{}, err
		}
		r.bytes, r.elems = r.limits.Total, r.limits.Elems
		v, push, err := r.value(0)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil || !push {
			return v, err
		}
	}
}

// Pass returns the next reply like Read, but writes the bytes of a string to w as they arrive, instead of holding them: the Value
// then has their number in Int, and no text. No limit applies to them. Only replies of RESP2 are passed so. After an error of w the
// reader cannot be used.
func (r *Reader) Pass(w io.Writer) (Value, error) {
	if head, err := r.b.Peek(1); err != nil {
		return Value{}, err
	} else if head[0] != '$' {
		return r.Read()
	}
	v, err := r.passBulk(w)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

func (r *Reader) passBulk(w io.Writer) (Value, error) {
	_, s, err := r.line()
	if err != nil {
		return Value{}, err
	}
	n, err := length(s, math.MaxInt)
	if err != nil || n < 0 {
		return Value{}, err
	}
	if _, err := io.CopyN(w, r.b, int64(n)); err != nil {
		return Value{}, err
	}
	return Value{Kind: Bulk, Int: int64(n)}, r.ending(n)
}

func protocolf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// line reads up to CRLF and returns the type byte and the rest.
func (r *Reader) line() (byte, string, error) {
	var long []byte
	for {
		part, err := r.b.ReadSlice('\n')
		if err == nil && long == nil {
			long = part
			break
		}
		long = append(long, part...)
		if len(long) > maxLine {
			return 0, "", protocolf("line of more than %d bytes", maxLine)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return 0, "", err
		}
	}
	n := len(long)
	if n < 3 || long[n-2] != '\r' {
		return 0, "", protocolf("malformed line %.40q", long)
	}
	return long[0], string(long[1 : n-2]), nil
}

// length parses the count of an aggregate or string; -1 is null.
func length(s string, limit int) (int, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < -1 {
		return 0, protocolf("bad length %.40q", s)
	}
	if n > int64(limit) {
		return 0, protocolf("length %d is over the limit of %d", n, limit)
	}
	return int(n), nil
}

func (r *Reader) value(depth int) (v Value, push bool, err error) {
	typ, s, err := r.line()
	if err != nil {
		return Value{}, false, err
	}
	switch typ {
	case '+':
		return Value{Kind: Simple, Str: s}, false, nil
	case '-':
		return Value{Kind: ErrorKind, Err: newError(s)}, false, nil
	case ':':
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return Value{}, false, protocolf("bad integer %.40q", s)
		}
		return Value{Kind: Int, Int: n}, false, nil
	case ',':
		return Value{Kind: Double, Str: s}, false, nil
	case '(':
		return Value{Kind: BigNum, Str: s}, false, nil
	case '_':
		return Value{}, false, nil
	case '#':
		switch s {
		case "t":
			return Value{Kind: Bool, Int: 1}, false, nil
		case "f":
			return Value{Kind: Bool}, false, nil
		}
		return Value{}, false, protocolf("bad boolean %.40q", s)
	case '$', '=', '!':
		v, err := r.bulk(typ, s)
		return v, false, err
	case '*', '~', '>', '%', '|':
		v, err := r.aggregate(typ, s, depth)
		if err == nil && typ == '|' {
			// An attribute precedes the reply it belongs to.
			return r.afterAttribute(depth)
		}
		return v, typ == '>', err
	}
	return Value{}, false, protocolf("unknown type byte %q", typ)
}

func (r *Reader) afterAttribute(depth int) (Value, bool, error) {
	if depth+1 > r.limits.Depth {
		return Value{}, false, protocolf("nesting is over the limit of %d", r.limits.Depth)
	}
	return r.value(depth + 1)
}

func (r *Reader) bulk(typ byte, s string) (Value, error) {
	n, err := length(s, min(r.limits.Bulk, r.bytes))
	if err != nil || n < 0 {
		return Value{}, err
	}
	r.bytes -= n
	buf, err := r.exactly(n)
	if err != nil {
		return Value{}, err
	}
	if err := r.ending(n); err != nil {
		return Value{}, err
	}
	switch typ {
	case '!':
		return Value{Kind: ErrorKind, Err: newError(string(buf))}, nil
	case '=':
		if n < 4 || buf[3] != ':' {
			return Value{}, protocolf("verbatim string without a format")
		}
		buf = buf[4:]
	}
	return Value{Kind: Bulk, Str: string(buf)}, nil
}

// ending reads what follows a string of n bytes.
func (r *Reader) ending(n int) error {
	var end [2]byte
	if _, err := io.ReadFull(r.b, end[:]); err != nil {
		return err
	}
	if end != [2]byte{'\r', '\n'} {
		return protocolf("string of %d bytes does not end there", n)
	}
	return nil
}

// exactly reads n bytes and allocates only as they arrive: a length alone costs nothing.
func (r *Reader) exactly(n int) ([]byte, error) {
	const step = 1 << 20
	buf := make([]byte, min(n, step))
	for at := 0; ; {
		if _, err := io.ReadFull(r.b, buf[at:]); err != nil {
			return nil, err
		}
		at = len(buf)
		if at == n {
			return buf, nil
		}
		buf = append(buf, make([]byte, min(n-at, max(step, at)))...)
	}
}

func (r *Reader) aggregate(typ byte, s string, depth int) (Value, error) {
	if depth+1 > r.limits.Depth {
		return Value{}, protocolf("nesting is over the limit of %d", r.limits.Depth)
	}
	n, err := length(s, r.elems)
	if err != nil || n < 0 {
		return Value{}, err
	}
	v := Value{Kind: Array}
	if typ == '%' || typ == '|' {
		v.Kind = Map
		n *= 2
	}
	if n > r.elems {
		return Value{}, protocolf("more than %d elements", r.limits.Elems)
	}
	r.elems -= n
	v.Elems = make([]Value, 0, min(n, 64))
	for range n {
		e, push, err := r.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		if push {
			return Value{}, protocolf("push message inside a reply")
		}
		v.Elems = append(v.Elems, e)
	}
	return v, nil
}
