package rdb

// skipValue consumes the value of a record whose type, in s.op, was admitted.
func (s *Scanner) skipValue() error {
	switch s.op {
	case typeString, typeHashZipmap, typeListZiplist, typeSetIntset, typeZsetZiplist, typeHashZiplist,
		typeHashListpack, typeZsetListpack, typeSetListpack:
		return s.skipStrings(1, 0)
	case typeList, typeSet, typeListQuicklist:
		return s.skipCounted(1, 0)
	case typeHash:
		return s.skipCounted(2, 0)
	case typeZset2:
		return s.skipCounted(1, 8)
	case typeZset:
		return s.skipTextScores()
	case typeListQuicklist2:
		return s.skipQuicklist()
	case typeModule2:
		return s.skipModule()
	case typeStream1:
		return s.skipStream(1)
	case typeStream2:
		return s.skipStream(2)
	case typeStream3:
		return s.skipStream(3)
	}
	if s.family == valkey && s.op == typeValkeyHash2 {
		return s.skipHashWithExpiries()
	}
	if s.family == redis && s.op == typeRedisHashTTL {
		return s.skipHashWithTTLs()
	}
	if s.family == redis && s.op == typeRedisHashPackEx {
		if err := s.skip(8); err != nil { // the earliest expiry
			return err
		}
		return s.skipString()
	}
	return s.unsupportedAt(s.offset()-1, notVerified)
}

// skipCounted consumes a count and as many times some strings, the last of
// which have pad bytes behind each.
func (s *Scanner) skipCounted(strings, pad uint64) error {
	n, err := s.readLength()
	if err != nil {
		return err
	}
	if n > maxBytes {
		return s.corrupt("a count of %d is impossible", n)
	}
	return s.skipStrings(n*strings, pad)
}

// skipTextScores consumes a sorted set of the first form: each score is text of
// a length up to 252, or a lone byte that means NaN or an infinity.
func (s *Scanner) skipTextScores() error {
	n, err := s.readLength()
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		if err := s.skipString(); err != nil {
			return err
		}
		if err := s.need(1); err != nil {
			return err
		}
		size := s.buf[s.pos]
		s.pos++
		if size < 253 {
			if err := s.skip(uint64(size)); err != nil {
				return err
			}
		}
	}
	return nil
}

// skipQuicklist consumes a list whose nodes are each one plain element or a
// listpack.
func (s *Scanner) skipQuicklist() error {
	n, err := s.readLength()
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		container, err := s.readLength()
		if err != nil {
			return err
		}
		if container != 1 && container != 2 {
			return s.corrupt("list node of kind %d", container)
		}
		if err := s.skipStrings(1, 0); err != nil {
			return err
		}
	}
	return nil
}

// skipHashWithExpiries consumes Valkey's hash: field, value, and eight bytes of
// expiry for every field.
func (s *Scanner) skipHashWithExpiries() error {
	n, err := s.readLength()
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		if err := s.skipStrings(2, 0); err != nil {
			return err
		}
		if err := s.skip(8); err != nil {
			return err
		}
	}
	return nil
}

// skipHashWithTTLs consumes Redis' hash: the earliest expiry, then TTL, field
// and value of every field.
func (s *Scanner) skipHashWithTTLs() error {
	if err := s.skip(8); err != nil {
		return err
	}
	n, err := s.readLength()
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		if _, err := s.readLength(); err != nil {
			return err
		}
		if err := s.skipStrings(2, 0); err != nil {
			return err
		}
	}
	return nil
}
