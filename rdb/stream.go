package rdb

// streamID is the size of a stream's entry ID where it is not two lengths.
const streamID = 16

// skipStream consumes a stream of form 1, 2 or 3.
func (s *Scanner) skipStream(form int) error {
	nodes, err := s.readLength()
	if err != nil {
		return err
	}
	if err := s.skipStreamNodes(nodes); err != nil {
		return err
	}
	return s.skipStreamState(form)
}

// skipStreamNodes consumes n nodes: the ID that their entries count from, and a
// listpack of them.
func (s *Scanner) skipStreamNodes(n uint64) error {
	for ; n > 0; n-- {
		head, err := s.readStringHead()
		if err != nil {
			return err
		}
		if head.length != streamID {
			return s.corrupt("a stream node named by %d bytes instead of %d", head.length, streamID)
		}
		if err := s.skip(head.stored); err != nil {
			return err
		}
		if err := s.skipStrings(1, 0); err != nil {
			return err
		}
	}
	return nil
}

// skipStreamState consumes what follows the nodes.
func (s *Scanner) skipStreamState(form int) error {
	entries, err := s.readLength()
	if err != nil {
		return err
	}
	if entries <= maxBytes {
		s.elements = int64(entries)
	}
	if err := s.skipLengths(2); err != nil { // last ID
		return err
	}
	if form >= 2 {
		// First ID, greatest deleted ID, entries ever added.
		if err := s.only(2, func() error { return s.skipLengths(5) }); err != nil {
			return err
		}
	}
	groups, err := s.readLength()
	if err != nil {
		return err
	}
	for ; groups > 0; groups-- {
		if err := s.skipGroup(form); err != nil {
			return err
		}
	}
	return nil
}

// skipGroup consumes one consumer group with its pending entries.
func (s *Scanner) skipGroup(form int) error {
	if err := s.skipString(); err != nil {
		return err
	}
	if err := s.skipLengths(2); err != nil { // last delivered ID
		return err
	}
	if form >= 2 {
		if err := s.only(2, func() error { return s.skipLengths(1) }); err != nil { // entries read
			return err
		}
	}
	pending, err := s.readLength()
	if err != nil {
		return err
	}
	for ; pending > 0; pending-- {
		if err := s.skip(streamID + 8); err != nil { // and the time of delivery
			return err
		}
		if _, err := s.readLength(); err != nil { // deliveries
			return err
		}
	}
	consumers, err := s.readLength()
	if err != nil {
		return err
	}
	for ; consumers > 0; consumers-- {
		if err := s.skipString(); err != nil {
			return err
		}
		if err := s.skip(8); err != nil { // last seen
			return err
		}
		if form >= 3 {
			if err := s.only(3, func() error { return s.skip(8) }); err != nil { // last active
				return err
			}
		}
		own, err := s.readLength()
		if err != nil {
			return err
		}
		if err := s.skipFixed(own, streamID); err != nil {
			return err
		}
	}
	return nil
}

// streamForm returns which form of streams a type is.
func streamForm(t byte) int {
	switch t {
	case typeStream1:
		return 1
	case typeStream2:
		return 2
	}
	return 3
}
