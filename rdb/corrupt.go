package rdb

import (
	"errors"
	"fmt"
	"io"
)

var (
	// ErrCorrupt matches, with errors.Is, every refusal that is about the bytes
	// themselves rather than about reading or passing them on.
	ErrCorrupt = errors.New("rdb: corrupt")

	// ErrUnsupported matches those among them that are no proof of damage: the file
	// is of a version, or holds a type, whose layout this package does not know.
	ErrUnsupported = errors.New("rdb: unsupported")
)

// CorruptError says where a file stopped making sense. It matches ErrCorrupt,
// ErrUnsupported if the file may merely be too new, and io.ErrUnexpectedEOF if
// it ended too early.
type CorruptError struct {
	Offset  int64  // bytes from the magic to the trouble
	Section string // what was being read: "header", "key", "value of type 4 (hash)", ...
	Reason  string

	also error // ErrUnsupported, io.ErrUnexpectedEOF or nil
}

func (e *CorruptError) Error() string {
	verdict := "corrupt"
	if e.also == ErrUnsupported {
		verdict = "unsupported"
	}
	return fmt.Sprintf("rdb: %s at offset %d, in %s: %s", verdict, e.Offset, e.Section, e.Reason)
}

// Is makes errors.Is find ErrCorrupt and the finer kinds.
func (e *CorruptError) Is(target error) bool {
	return target == ErrCorrupt || (e.also != nil && target == e.also)
}

// stage is what the scanner is in the middle of, for error messages.
type stage byte

const (
	inHeader stage = iota
	inBody
	inOpcode
	inKey
	inValue
	inTrailer
)

func (s *Scanner) section() string {
	switch s.stage {
	case inHeader:
		return "header"
	case inBody:
		return "body"
	case inOpcode:
		return "opcode " + opcodeName(s.op)
	case inKey:
		return "key"
	case inValue:
		return fmt.Sprintf("value of type %d (%s)", s.op, s.family.typeName(s.op))
	default:
		return "trailer"
	}
}

// corruptAt blames the byte at an offset of the file.
func (s *Scanner) corruptAt(offset int64, format string, args ...any) error {
	return &CorruptError{Offset: offset, Section: s.section(), Reason: fmt.Sprintf(format, args...)}
}

// corrupt blames the next byte.
func (s *Scanner) corrupt(format string, args ...any) error {
	return s.corruptAt(s.offset(), format, args...)
}

func (s *Scanner) unsupportedAt(offset int64, format string, args ...any) error {
	return &CorruptError{Offset: offset, Section: s.section(), Reason: fmt.Sprintf(format, args...), also: ErrUnsupported}
}

// truncated blames the end of the input.
func (s *Scanner) truncated() error {
	return &CorruptError{Offset: s.base + int64(s.end), Section: s.section(), Reason: "truncated", also: io.ErrUnexpectedEOF}
}
