package rdb

import (
	"errors"
	"fmt"

	"github.com/keyframe/keyframe/rdb/packed"
)

// blob is a packed blob in memory, and where it lies.
type blob struct {
	p      []byte
	offset int64 // in the file, of its string
	stored bool  // it lies there as it is, not compressed
	head   int   // bytes of the string in front of it
}

// readBlob consumes one packed blob.
func (v *Value) readBlob() (b blob, err error) {
	b.offset = v.s.offset()
	if b.head, b.stored = v.s.peekPlain(); !b.stored {
		b.head = 0
	}
	b.p, err = v.readString(&v.texts.blob, true)
	return b, err
}

// peekPlain tells whether a plain string is next, and the length of its head.
func (s *Scanner) peekPlain() (head int, plain bool) {
	if s.need(1) != nil {
		return 0, false // and whoever reads on finds out why
	}
	head = lengthSize(s.buf[s.pos])
	return head, head > 0
}

// broken turns what is wrong inside a blob into an error about the file.
func (v *Value) broken(b blob, err error) error {
	if err == nil {
		return nil
	}
	var inside *packed.Error
	var piece *pieceError
	if errors.As(err, &piece) {
		inside = piece.in(v, b)
	} else if !errors.As(err, &inside) {
		return err
	}
	if b.stored {
		return v.s.corruptAt(b.offset+int64(b.head+inside.Offset), "%s", inside.Reason)
	}
	return v.s.corruptAt(b.offset, "at byte %d of what it decompresses to: %s", inside.Offset, inside.Reason)
}

// walkPacked is walk for the types whose elements lie in packed blobs.
func (v *Value) walkPacked(yield func(Element) bool) error {
	s := v.s
	switch v.typ {
	case typeListQuicklist:
		n, err := s.readCount()
		if err != nil {
			return v.broke(err)
		}
		s.elements = -1
		for v.left = n; v.left > 0; {
			v.left--
			if err := v.walkBlob(yield); err != nil {
				return err
			}
		}
		return nil
	case typeListQuicklist2:
		return v.walkQuicklist(yield)
	case typeRedisHashPackEx:
		if err := s.skip(8); err != nil { // the earliest expiry, which the fields repeat
			return v.broke(err)
		}
	}
	return v.walkBlob(yield)
}

// walkQuicklist walks a list of nodes that are plain elements or listpacks.
func (v *Value) walkQuicklist(yield func(Element) bool) error {
	s := v.s
	n, err := s.readCount()
	if err != nil {
		return v.broke(err)
	}
	s.elements = -1
	for v.left = n; v.left > 0; {
		container, err := s.readLength()
		if err != nil {
			return v.broke(err)
		}
		v.left--
		switch container {
		case nodePlain:
			text, err := v.readString(&v.texts.first, false)
			if err != nil {
				return err
			}
			if !yield(Element{Text: text}) {
				return errStopped
			}
		case nodePacked:
			if err := v.walkBlob(yield); err != nil {
				return err
			}
		default:
			return v.broke(s.corrupt("list node of kind %d", container))
		}
	}
	return nil
}

// walkBlob reads one blob and walks the elements in it.
func (v *Value) walkBlob(yield func(Element) bool) error {
	b, err := v.readBlob()
	if err != nil {
		return err
	}
	switch v.typ {
	case typeSetIntset:
		err = v.group(packed.Intset(b.p).All(), yield)
	case typeHashZipmap:
		err = v.group(packed.Zipmap(b.p).All(), yield)
	case typeListZiplist, typeListQuicklist, typeZsetZiplist, typeHashZiplist:
		err = v.group(packed.Ziplist(b.p).All(), yield)
	default:
		err = v.group(packed.Listpack(b.p).All(), yield)
	}
	if err == errHalf {
		return v.s.corruptAt(b.offset, "the last element lacks what belongs to it")
	}
	return v.broken(b, err)
}

// errHalf means that elements which come in pairs or triples do not come out even.
var errHalf = errors.New("half an element")

// group makes elements out of what a blob holds, one, two or three at a time.
func (v *Value) group(all func(func(packed.Element, error) bool), yield func(Element) bool) (failed error) {
	size := 1
	switch {
	case v.typ == typeRedisHashPackEx:
		size = 3
	case v.kind == KindSortedSet || v.kind == KindHash:
		size = 2
	}
	var e Element
	place, n := 0, -1
	for piece, err := range all {
		if err != nil {
			return err
		}
		n++
		switch {
		case place == 0:
			e = Element{}
			e.Text = textOf(piece, &v.texts.first)
		case place == 2:
			at, ok := piece.Integer()
			if !ok {
				return badPiece(n, "a field that expires at %.40q", piece.Text)
			}
			if at != 0 && !e.expire(at) {
				return badPiece(n, "a field that expires at %d", at)
			}
		case v.kind == KindSortedSet:
			if e.Score, err = scoreOf(piece); err != nil {
				return badPiece(n, "%.40q is no score", piece.Text)
			}
		default:
			e.Value = textOf(piece, &v.texts.second)
		}
		if place++; place < size {
			continue
		}
		place = 0
		if !yield(e) {
			return errStopped
		}
	}
	if place != 0 {
		return errHalf
	}
	return nil
}

// textOf returns a piece of a blob as text, for a number in room.
func textOf(piece packed.Element, room *[]byte) []byte {
	if !piece.Number {
		return piece.Text[:len(piece.Text):len(piece.Text)]
	}
	*room = piece.Append((*room)[:0])
	return *room
}

func scoreOf(piece packed.Element) (float64, error) {
	if piece.Number {
		return float64(piece.Int), nil
	}
	return parseScoreText(piece.Text)
}

// pieceError says what is wrong with the n-th element of a listpack or ziplist.
type pieceError struct {
	n      int
	reason string
}

func (e *pieceError) Error() string { return e.reason }

func badPiece(n int, format string, args ...any) error {
	return &pieceError{n, fmt.Sprintf(format, args...)}
}

// in returns the same as an error about a place in the blob. That of an element in
// a ziplist would be much work to find.
func (e *pieceError) in(v *Value, b blob) *packed.Error {
	if v.typ == typeZsetZiplist {
		return &packed.Error{Reason: fmt.Sprintf("element %d of the ziplist: %s", e.n, e.reason)}
	}
	w := packed.Listpack(b.p).Walk()
	for range e.n + 1 {
		w.Next()
	}
	return &packed.Error{Offset: w.Offset(), Reason: e.reason}
}
