package lzf

// Decode fills dst, exactly, from src, all of it. It returns ErrCorrupt if src
// decodes to fewer or more bytes, or to none at all because it is broken; dst
// then holds an unspecified mixture.
func Decode(dst, src []byte) error {
	d, i := decodeWide(dst, src, 0)
	for i < len(src) {
		c := int(src[i])
		i++
		if c < 32 {
			n := c + 1
			if n > len(src)-i || n > len(dst)-d {
				return ErrCorrupt
			}
			copy(dst[d:d+n], src[i:i+n])
			d, i = d+n, i+n
			continue
		}
		n, distance, next, ok := reference(src, i, c)
		if !ok || distance > d || n > len(dst)-d {
			return ErrCorrupt
		}
		i = next
		repeat(dst[:d+n], d, distance)
		d += n
	}
	if d != len(dst) {
		return ErrCorrupt
	}
	return nil
}

// Room that the wide way wants ahead of it, so that whole words may be moved
// where the item ends inside one: what is too much is overwritten by the next
// item, or by the careful way.
const (
	roomIn  = maxItem
	roomOut = maxReference + 16
)

// decodeWide decodes to dst[at:] while there is plenty of room in both slices, in
// moves of 8 to 32 bytes, and returns how far it came. It stops in front of an
// item that it cannot take, whether that is broken or only near an end.
func decodeWide(dst, src []byte, at int) (d, i int) {
	d = at
	for len(src)-i >= roomIn && len(dst)-d >= roomOut {
		c := int(src[i])
		if c < 32 {
			*(*[maxLiteral]byte)(dst[d:]) = *(*[maxLiteral]byte)(src[i+1:])
			d, i = d+c+1, i+c+2
			continue
		}
		n, distance, next := c>>5, (c&31)<<8+1, i+1
		if n == 7 {
			n += int(src[next])
			next++
		}
		distance += int(src[next])
		if distance > d {
			return d, i
		}
		i, n = next+1, n+2
		from, end := d-distance, d+n
		switch {
		case distance >= 16:
			// The moves do not overlap themselves, and each reads what the one
			// before has written.
			for ; d < end; d, from = d+16, from+16 {
				*(*[16]byte)(dst[d:]) = *(*[16]byte)(dst[from:])
			}
		case distance >= 8:
			for ; d < end; d, from = d+8, from+8 {
				*(*[8]byte)(dst[d:]) = *(*[8]byte)(dst[from:])
			}
		default:
			repeat(dst[:end], d, distance)
		}
		d = end
	}
	return d, i
}

// AppendPrefix appends to dst the first max bytes that src decodes to, fewer if
// it has no more, and returns the extended slice. Only as much of src is read
// as that takes, so src may be cut behind it. dst grows with what is decoded,
// whatever a length elsewhere claims. On ErrCorrupt the bytes decoded so far are
// returned with it.
func AppendPrefix(dst, src []byte, max int) ([]byte, error) {
	start, i := len(dst), 0
	for i < len(src) && len(dst)-start < max {
		c := int(src[i])
		i++
		room := max - (len(dst) - start)
		if c < 32 {
			n := min(c+1, room)
			if n > len(src)-i {
				return append(dst, src[i:]...), ErrCorrupt
			}
			dst = append(dst, src[i:i+n]...)
			i += n
			continue
		}
		n, distance, next, ok := reference(src, i, c)
		if !ok || distance > len(dst)-start {
			return dst, ErrCorrupt
		}
		i = next
		n = min(n, room)
		from := len(dst)
		dst = append(dst, zeros[:n]...)
		repeat(dst, from, distance)
	}
	return dst, nil
}

// zeros makes room for one reference of the greatest length.
var zeros [maxReference]byte
