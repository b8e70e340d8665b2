package cli

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/crc64"
)

// writeDump writes a value as the command DUMP answers it: type, value, the lowest version that has the type, checksum. The value
// passes through as it lies in the file.
func writeDump(w io.Writer, r *rdb.Record, v *rdb.Value) error {
	sum := &summed{w: w}
	if _, err := sum.Write([]byte{r.Type}); err != nil {
		return err
	}
	if _, err := v.Raw(sum); err != nil {
		return err
	}
	if _, err := sum.Write(binary.LittleEndian.AppendUint16(nil, uint16(payloadVersion(r.Type)))); err != nil {
		return err
	}
	_, err := w.Write(binary.LittleEndian.AppendUint64(nil, sum.crc))
	return err
}

// payloadVersion is the lowest version of RDB that has a type.
func payloadVersion(t byte) int {
	sum := &rdb.Summary{Family: rdb.FamilyRedis, Version: 12}
	if rdb.TypeKind(rdb.FamilyRedis, t) == rdb.KindUnknown {
		sum.Family, sum.Version = rdb.FamilyValkey, 80
	}
	sum.Types[t] = 1
	return rdb.MinVersion(sum)
}

type summed struct {
	w   io.Writer
	crc uint64
}

func (s *summed) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.crc = crc64.Update(s.crc, p[:n])
	return n, err
}

// escaping writes bytes as redis-cli shows them, in quotes.
type escaping struct {
	w    *bufio.Writer
	open bool
}

func (e *escaping) Write(p []byte) (int, error) {
	if !e.open {
		e.open = true
		e.w.WriteByte('"')
	}
	for _, c := range p {
		switch {
		case c == '"' || c == '\\':
			e.w.WriteByte('\\')
			e.w.WriteByte(c)
		case c == '\n':
			e.w.WriteString(`\n`)
		case c == '\r':
			e.w.WriteString(`\r`)
		case c == '\t':
			e.w.WriteString(`\t`)
		case c < ' ' || c > '~':
			fmt.Fprintf(e.w, `\x%02x`, c)
		default:
			e.w.WriteByte(c)
		}
	}
	return len(p), nil // bufio keeps the error for the flush
}

func (e *escaping) close() error {
	_, err := e.w.WriteString("\"\n")
	return err
}
