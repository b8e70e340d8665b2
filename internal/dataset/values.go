package dataset

import (
	"encoding/binary"
	"strconv"
)

// rng is splitmix64: one addition and a few multiplications a word, and any seed is good.
type rng uint64

// keyed is the generator of one key, so that its value depends on nothing else.
func keyed(seed uint64, key int) rng {
	r := rng(seed ^ uint64(key)*0xd1342543de82ef95)
	r.next()
	return r
}

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below is a number from 0 to n-1.
func (r *rng) below(n int) int { return int(r.next() >> 1 % uint64(n)) }

// bytes appends n random bytes.
func (r *rng) bytes(b []byte, n int) []byte {
	for ; n >= 8; n -= 8 {
		b = binary.LittleEndian.AppendUint64(b, r.next())
	}
	for w := r.next(); n > 0; n-- {
		b = append(b, byte(w))
		w >>= 8
	}
	return b
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// text appends n characters of the base64 alphabet.
func (r *rng) text(b []byte, n int) []byte {
	for n > 0 {
		w := r.next()
		for i := min(n, 10); i > 0; i-- {
			b = append(b, alphabet[w&63])
			w >>= 6
			n--
		}
	}
	return b
}

var words = [...]string{"session", "cart", "user", "order", "price", "region", "eu-west", "status", "active", "pending", "shipped", "cache",
	"profile", "token", "device", "mobile", "desktop", "campaign", "summer", "invoice", "customer", "warehouse", "returned", "gift"}

func (r *rng) word() string { return words[r.below(len(words))] }

// json appends exactly n bytes that look like a JSON document.
func (r *rng) json(b []byte, n int) []byte {
	end := len(b) + n
	b = append(b, `{"id":`...)
	b = strconv.AppendUint(b, r.next()>>20, 10)
	for len(b) < end {
		b = append(b, `,"`...)
		b = append(b, r.word()...)
		w := r.next()
		switch w & 3 {
		case 0:
			b = append(b, `":`...)
			b = strconv.AppendUint(b, w>>40, 10)
		case 1:
			b = append(b, `":true`...)
		default:
			b = append(b, `":"`...)
			b = append(b, r.word()...)
			b = append(b, ' ')
			b = append(b, r.word()...)
			b = append(b, '"')
		}
	}
	b = b[:end]
	if n > 0 {
		b[end-1] = '}'
	}
	return b
}

// value appends a string value of the mix.
func (r *rng) value(b []byte, s *Spec) []byte {
	n := s.ValueMin + r.below(s.ValueMax-s.ValueMin+1)
	switch p := r.below(10); {
	case p < 5:
		return r.json(b, n)
	case p < 7:
		return r.text(b, n)
	}
	return r.bytes(b, n)
}
