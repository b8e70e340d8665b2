package memcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// binaryAnswer is a reply of the binary protocol.
func binaryAnswer(opcode byte, status uint16, extras, value string) []byte {
	b := []byte{binaryReply, opcode, 0, 0, byte(len(extras)), 0, byte(status >> 8), byte(status)}
	b = binary.BigEndian.AppendUint32(b, uint32(len(extras)+len(value)))
	return append(append(append(b, make([]byte, 12)...), extras...), value...)
}

func TestBinaryReplies(t *testing.T) {
	t.Parallel()
	status, extras, _, body, err := NewReader(bytes.NewReader(binaryAnswer(binaryGet, 0, "\x00\x00\x00\x07", "value"))).binary(binaryGet)
	if err != nil || status != 0 || extras != 4 || string(body[4:]) != "value" {
		t.Error(status, extras, body, err)
	}
	sound := binaryAnswer(binaryGet, 0, "\x00\x00\x00\x07", "value")
	for i, bad := range map[int]byte{0: 0x80, 1: 1, 2: 1, 4: 20, 8: 0x40} {
		b := bytes.Clone(sound)
		b[i] = bad
		if _, _, _, _, err := NewReader(bytes.NewReader(b)).binary(binaryGet); !errors.Is(err, ErrProtocol) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for n := range sound {
		if _, _, _, _, err := NewReader(bytes.NewReader(sound[:n])).binary(binaryGet); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func FuzzBinary(f *testing.F) {
	f.Add(binaryAnswer(binaryGet, 0, "\x00\x00\x00\x07", "value"))
	f.Add(binaryAnswer(binaryGet, 1, "", "Not found"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, extras, _, body, err := newReader(bytes.NewReader(b), 0).binary(binaryGet)
		if err == nil && (extras > len(body) || len(body) > len(b)) {
			t.Fatal(extras, len(body))
		}
	})
}
