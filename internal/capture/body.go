package capture

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

const markSize = 40

// body is the transfer of an RDB.
type body struct {
	l       *link
	framing Framing
	size    int64  // Disk
	mark    string // Diskless: follows the RDB

	read       int64
	err        error // that ended reading; io.EOF only at the end of a Disk transfer
	onProgress func(bytes, total int64)
	reported   time.Time
}

// body waits for the transfer to begin.
func (l *link) body() (*body, error) {
	line, err := l.line()
	if err != nil {
		return nil, err
	}
	b, err := parseFraming(line)
	if err != nil {
		return nil, err
	}
	b.l, l.bulk = l, true
	if b.framing == Disk {
		l.left = b.size - int64(l.in.Buffered())
	}
	return b, nil
}

// parseFraming reads $<length> or $EOF:<mark>.
func parseFraming(line string) (*body, error) {
	if line[0] == '-' {
		// The fork was announced, and failed.
		return nil, fmt.Errorf("%w: it ended the transfer with %.200q", ErrTemporary, line[1:])
	}
	if mark, ok := strings.CutPrefix(line, "$EOF:"); ok && isMark(mark) {
		return &body{framing: Diskless, mark: mark}, nil
	}
	if digits, ok := strings.CutPrefix(line, "$"); ok && len(digits) > 0 && digits[0] >= '0' && digits[0] <= '9' {
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
			return &body{framing: Disk, size: n}, nil
		}
	}
	return nil, fmt.Errorf("%w: it announced the RDB with %.80q", ErrProtocol, line)
}

// Read gives the bytes of the transfer; of a diskless one, the mark at its end too.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.framing == Disk {
		left := b.size - b.read
		if left == 0 {
			b.err = io.EOF
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), left)]
		b.l.left = left - int64(b.l.in.Buffered())
	}
	n, err := b.l.in.Read(p)
	b.read += int64(n)
	if err == io.EOF {
		err = fmt.Errorf("%w: closed by the engine after %d bytes of RDB", ErrLink, b.read)
	}
	b.err = err
	if n > 0 {
		arrived := b.read
		if b.framing == Diskless {
			arrived = max(arrived-markSize, 0) // as many may be of the mark
		}
		b.report(arrived, false)
	}
	return n, err
}

func (b *body) report(n int64, force bool) {
	if b.onProgress == nil {
		return
	}
	if now := time.Now(); force || now.Sub(b.reported) >= 100*time.Millisecond {
		b.reported = now
		b.onProgress(n, b.size)
	}
}

// end checks that the transfer ends where the RDB of n bytes does. Rest continues behind the RDB.
func (b *body) end(n int64, rest io.Reader) error {
	if b.framing == Disk {
		if n != b.size {
			return fmt.Errorf("%w: the RDB ends after %d bytes, its transfer after %d", ErrProtocol, n, b.size)
		}
		return nil
	}
	var got [markSize]byte
	if _, err := io.ReadFull(rest, got[:]); err != nil {
		if b.err != nil {
			err = b.err
		}
		return fmt.Errorf("the RDB ended after %d bytes, the mark behind it did not come: %w", n, err)
	}
	if !bytes.Equal(got[:], []byte(b.mark)) {
		return fmt.Errorf("%w: the RDB ends after %d bytes, its transfer does not", ErrProtocol, n)
	}
	return nil
}
