package memcache

import (
	"encoding/binary"
	"fmt"
)

// The binary protocol is only for keys that the text cannot write (ErrKey), and which came through it. A server takes a connection for binary by
// its first byte: such a connection must not be used for anything else.

const (
	binaryRequest, binaryReply = 0x80, 0x81
	binaryGet, binarySet       = 0x00, 0x01
	binaryHeader               = 24

	statusOK, statusNotFound = 0, 1
)

func appendBinary(dst []byte, opcode byte, key []byte, extras, value int) []byte {
	dst = binary.BigEndian.AppendUint16(append(dst, binaryRequest, opcode), uint16(len(key)))
	dst = append(dst, byte(extras), 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(extras+len(key)+value))
	return append(dst, make([]byte, 12)...)
}

// BinaryGet reads an item into v, where it is valid until the next call, or returns false if it is not there. The remaining time is not
// known. Unlike Value it counts as a use of the item.
func (c *Conn) BinaryGet(key []byte, v *Value) (bool, error) {
	if len(key) == 0 || len(key) > MaxKey {
		return false, fmt.Errorf("%w: it has %d bytes", ErrKey, len(key))
	}
	if err := c.Send(append(appendBinary(nil, binaryGet, key, 0, 0), key...)); err != nil {
		return false, err
	}
	status, extras, cas, body, err := c.binary(binaryGet)
	switch {
	case err != nil || status == statusNotFound:
		return false, err
	case status != statusOK:
		return false, binaryError(status, body)
	case extras != 4:
		return false, protocolError("to a binary get", body)
	}
	*v = Value{Flags: binary.BigEndian.Uint32(body), TTL: -1, CAS: cas, Data: body[4:]}
	return true, nil
}

// BinarySet stores an item as AppendSet would.
func (c *Conn) BinarySet(key []byte, flags uint32, expireAt int64, value []byte) error {
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("%w: it has %d bytes", ErrKey, len(key))
	}
	if err := checkExpiry(key, expireAt); err != nil {
		return err
	}
	b := appendBinary(nil, binarySet, key, 8, len(value))
	b = binary.BigEndian.AppendUint32(b, flags)
	b = append(binary.BigEndian.AppendUint32(b, uint32(expireAt)), key...)
	if err := c.Send(append(b, value...)); err != nil {
		return err
	}
	status, _, _, body, err := c.binary(binarySet)
	if err == nil && status != statusOK {
		err = binaryError(status, body)
	}
	return err
}

// binary reads a reply: its status, the length of what stands before the value, and both.
func (r *Reader) binary(opcode byte) (status uint16, extras int, cas uint64, body []byte, err error) {
	h, err := r.block(binaryHeader)
	if err != nil {
		return 0, 0, 0, nil, err
	}
	keySize, size := int(binary.BigEndian.Uint16(h[2:])), int(binary.BigEndian.Uint32(h[8:]))
	extras, status, cas = int(h[4]), binary.BigEndian.Uint16(h[6:]), binary.BigEndian.Uint64(h[16:])
	if h[0] != binaryReply || h[1] != opcode || keySize != 0 || extras > size || size > MaxValue+extras {
		return 0, 0, 0, nil, protocolError("to a binary command", h)
	}
	body, err = r.block(size)
	return status, extras, cas, body, err
}

// binaryError is a refusal in the words of the text protocol.
func binaryError(status uint16, body []byte) error {
	switch status {
	case 3:
		return &ReplyError{"SERVER_ERROR object too large for cache"}
	case 0x82:
		return &ReplyError{"SERVER_ERROR out of memory storing object"}
	}
	return &ReplyError{fmt.Sprintf("binary status %#x: %.100s", status, body)}
}
