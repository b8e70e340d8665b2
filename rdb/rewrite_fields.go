package rdb

import "encoding/binary"

// Hashes whose fields expire are stored in a way of its own by each family. All
// else that both have, they store alike.

// crossedType returns the type of a family that holds what values of a type do
// that only the other one has, and since which version; 0 if there is none.
func crossedType(t byte, to family) (other byte, since int) {
	switch {
	case to == valkey && (t == typeRedisHashTTL || t == typeRedisHashPackEx):
		other = typeValkeyHash2
	case to == redis && t == typeValkeyHash2:
		other = typeRedisHashTTL
	default:
		return 0, 0
	}
	return other, to.layout(other).since
}

// rewriteFields makes a hash of the other family out of one whose fields lie one
// after the other.
func (s *Scanner) rewriteFields(to byte) error {
	s.value = Value{s: s, kind: KindHash, typ: s.op, texts: s.value.texts}
	return s.leaveOut(func() error {
		if s.op == typeRedisHashTTL {
			if err := s.need(8); err != nil {
				return err
			}
			s.value.minimum = int64(binary.LittleEndian.Uint64(s.buf[s.pos:]))
			s.pos += 8
		}
		n, err := s.readCount()
		if err != nil {
			return err
		}
		if to == typeValkeyHash2 {
			return s.fieldsForValkey(n)
		}
		return s.fieldsForRedis(n)
	})
}

func (s *Scanner) fieldsForValkey(n uint64) error {
	out := appendLength(s.fresh[:0], n)
	for ; n > 0; n-- {
		e, err := s.value.readElement()
		if err != nil {
			return err
		}
		if out = putField(out, e); len(out) >= rewriteBatch {
			if err := s.putIn(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	return s.putFresh(out)
}

// putField appends a field as Valkey has it.
func putField(dst []byte, e Element) []byte {
	at := e.ExpireAt
	if at == 0 {
		at = -1
	}
	return binary.LittleEndian.AppendUint64(putString(putString(dst, e.Text), e.Value), uint64(at))
}

// heldFields is how much of a hash is held to find the earliest expiry, which
// Redis has before all fields, and counts the others from.
const heldFields = 4 << 20

// fieldsForRedis writes expiries in full, so that they are right if they count
// from 1, as in a hash that is too large to be held, and otherwise made relative
// where they are.
func (s *Scanner) fieldsForRedis(n uint64) error {
	out := appendLength(append(s.fresh[:0], make([]byte, 8)...), n)
	var (
		expiries []int // where they are in out
		earliest uint64
		settled  bool
	)
	settle := func() {
		settled = true
		binary.LittleEndian.PutUint64(out, earliest)
		for _, at := range expiries {
			binary.BigEndian.PutUint64(out[at:], binary.BigEndian.Uint64(out[at:])-earliest+1)
		}
		expiries = nil
	}
	for ; n > 0; n-- {
		e, err := s.value.readElement()
		if err != nil {
			return err
		}
		at := uint64(e.ExpireAt)
		if at == 0 {
			out = append(out, 0)
		} else {
			out = binary.BigEndian.AppendUint64(append(out, length64), at)
		}
		if at != 0 && !settled {
			expiries = append(expiries, len(out)-8)
			if earliest == 0 || at < earliest {
				earliest = at
			}
		}
		out = putString(putString(out, e.Text), e.Value)
		if !settled && len(out) >= heldFields {
			earliest = 1
			settle()
		}
		if settled && len(out) >= rewriteBatch {
			if err := s.putIn(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	if !settled {
		settle()
	}
	return s.putFresh(out)
}
