package rdb

// A node of a quicklist is one element or a listpack of many.
const (
	nodePlain  = 1
	nodePacked = 2
)

// skipValue consumes the value of a record whose type, in s.op, was admitted.
func (s *Scanner) skipValue() error {
	switch s.op {
	case typeString:
		return s.skipStrings(1, 0)
	case typeHashZipmap, typeListZiplist, typeSetIntset, typeZsetZiplist, typeHashZiplist,
		typeHashListpack, typeZsetListpack, typeSetListpack:
		return s.skipBlobs(1)
	case typeList, typeSet:
		return s.skipCounted(1, 0)
	case typeListQuicklist:
		n, err := s.readCount()
		if err != nil {
			return err
		}
		s.elements = -1
		return s.skipBlobs(n)
	case typeHash:
		return s.skipCounted(2, 0)
	case typeZset2:
		return s.skipCounted(1, 8)
	case typeZset:
		n, err := s.readCount()
		if err != nil {
			return err
		}
		return s.skipTextScores(n)
	case typeListQuicklist2:
		n, err := s.readCount()
		if err != nil {
			return err
		}
		return s.skipQuicklist(n)
	case typeModule2:
		return s.skipModule()
	case typeStream1, typeStream2, typeStream3:
		return s.skipStream(streamForm(s.op))
	}
	if s.family == valkey && s.op == typeValkeyHash2 {
		n, err := s.readCount()
		if err != nil {
			return err
		}
		return s.skipHashWithExpiries(n)
	}
	if s.family == redis && (s.op == typeRedisHashTTL || s.op == typeRedisHashPackEx) {
		if err := s.skip(8); err != nil { // the earliest expiry
			return err
		}
		if s.op == typeRedisHashPackEx {
			return s.skipBlobs(1)
		}
		n, err := s.readCount()
		if err != nil {
			return err
		}
		return s.skipHashWithTTLs(n)
	}
	return s.unsupportedAt(s.offset()-1, notVerified)
}

// skipCounted consumes a count and as many times some strings, the last of
// which have pad bytes behind each.
func (s *Scanner) skipCounted(strings, pad uint64) error {
	n, err := s.readCount()
	if err != nil {
		return err
	}
	return s.skipStrings(n*strings, pad)
}

// skipTextScores consumes n members of a sorted set of the first form: each score
// is text of a length up to 252, or a lone byte that means NaN or an infinity.
func (s *Scanner) skipTextScores(n uint64) error {
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

// skipQuicklist consumes n nodes of a list, each one plain element or a listpack.
func (s *Scanner) skipQuicklist(n uint64) error {
	total := int64(-1)
	if s.onRecord != nil {
		total = 0
	}
	for ; n > 0; n-- {
		container, err := s.readLength()
		if err != nil {
			return err
		}
		if container != nodePlain && container != nodePacked {
			return s.corrupt("list node of kind %d", container)
		}
		if total < 0 || container == nodePlain {
			if err := s.skipStrings(1, 0); err != nil {
				return err
			}
			total = addCounts(total, 1)
			continue
		}
		count, err := s.skipBlob()
		if err != nil {
			return err
		}
		total = addCounts(total, count)
	}
	s.elements = total
	return nil
}

// skipHashWithExpiries consumes n fields of Valkey's hash: field, value, and eight
// bytes of expiry for each.
func (s *Scanner) skipHashWithExpiries(n uint64) error {
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

// skipHashWithTTLs consumes n fields of Redis' hash: TTL, field and value of each.
func (s *Scanner) skipHashWithTTLs(n uint64) error {
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

// skipRest consumes what a Value left: so many elements, blobs, nodes or bytes.
func (s *Scanner) skipRest(stage valueStage, left uint64) error {
	switch s.family.kind(s.op) {
	case KindString:
		return s.skip(left)
	case KindModule:
		return s.skipModuleValue()
	case KindStream:
		form := streamForm(s.op)
		if stage == valuePartly {
			if err := s.skipStreamNodes(left); err != nil {
				return err
			}
		}
		return s.skipStreamState(form)
	}
	switch s.op {
	case typeList, typeSet, typeListQuicklist:
		return s.skipStrings(left, 0)
	case typeHash:
		return s.skipStrings(2*left, 0)
	case typeZset2:
		return s.skipStrings(left, 8)
	case typeZset:
		return s.skipTextScores(left)
	case typeListQuicklist2:
		return s.skipQuicklist(left)
	case typeValkeyHash2:
		return s.skipHashWithExpiries(left)
	case typeRedisHashTTL:
		return s.skipHashWithTTLs(left)
	}
	return nil // one blob, which was read
}
