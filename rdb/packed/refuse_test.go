package packed

import (
	"iter"
	"testing"
)

// Every way in which a blob can be broken, with its place and words.
func TestRefusals(t *testing.T) {
	t.Parallel()
	type blob interface {
		Verify() (int, error)
		All() iter.Seq2[Element, error]
	}
	for _, c := range []struct {
		name string
		blob blob
		want string
	}{
		{"no listpack", Listpack("\x06\x00\x00\x00\x00\x00"), "byte 0: a listpack of 6 bytes"},
		{"another length", Listpack("\x09\x00\x00\x00\x00\x00\xff"), "byte 0: the header of the listpack says 9 bytes, there are 7"},
		{"no end", Listpack("\x07\x00\x00\x00\x00\x00\xfe"), "byte 6: byte 0xfe where the listpack should end"},
		{"early end", Listpack("\x0a\x00\x00\x00\x00\x00\xff\x01\x01\xff"), "byte 6: the listpack ends 3 bytes too early"},
		{"no encoding", Listpack("\x09\x00\x00\x00\x01\x00\xf5\x01\xff"), "byte 6: byte 0xf5 starts no element of a listpack"},
		{"text too long", Listpack("\x0a\x00\x00\x00\x01\x00\x83ab\xff"), "byte 6: an element of 4 bytes runs over the end of the listpack"},
		{"no room behind", Listpack("\x09\x00\x00\x00\x01\x00\x81a\xff"), "byte 6: an element of 2 bytes runs over the end of the listpack"},
		{"half a length", Listpack("\x08\x00\x00\x00\x01\x00\xe1\xff"), "byte 6: an element runs over the end of the listpack"},
		{"half a long length", Listpack("\x0a\x00\x00\x00\x01\x00\xf0\x01\x00\xff"), "byte 6: an element runs over the end of the listpack"},
		{"4 GB", Listpack("\x0d\x00\x00\x00\x01\x00\xf0\xff\xff\xff\xffa\xff"), "byte 6: an element of 4294967300 bytes runs over the end of the listpack"},
		{"length behind", Listpack("\x09\x00\x00\x00\x01\x00\x01\x02\xff"), "byte 7: an element of 1 bytes is followed by a length of 2"},
		{"fewer", Listpack("\x09\x00\x00\x00\x02\x00\x01\x01\xff"), "byte 4: the header of the listpack says 2 elements, there are 1"},

		{"no ziplist", Ziplist("\x0a\x00\x00\x00\x0a\x00\x00\x00\x00\x00"), "byte 0: a ziplist of 10 bytes"},
		{"another length", Ziplist("\x0c\x00\x00\x00\x0a\x00\x00\x00\x00\x00\xff"), "byte 0: the header of the ziplist says 12 bytes, there are 11"},
		{"no end", Ziplist("\x0b\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00"), "byte 10: byte 0x00 where the ziplist should end"},
		{"tail outside", Ziplist("\x0b\x00\x00\x00\x0b\x00\x00\x00\x00\x00\xff"), "byte 4: the last entry at byte 11, behind the end of the ziplist"},
		{"another tail", Ziplist("\x0d\x00\x00\x00\x0b\x00\x00\x00\x01\x00\x00\xf2\xff"), "byte 4: the header of the ziplist says that the last entry is at byte 11, it is at 10"},
		{"early end", Ziplist("\x0d\x00\x00\x00\x0a\x00\x00\x00\x00\x00\xff\xf2\xff"), "byte 10: the ziplist ends 2 bytes too early"},
		{"size before", Ziplist("\x0d\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x03\xf2\xff"), "byte 10: an entry behind one of 0 bytes says 3"},
		{"no encoding", Ziplist("\x0d\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\xc1\xff"), "byte 11: byte 0xc1 starts no element of a ziplist"},
		{"text too long", Ziplist("\x0e\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x02a\xff"), "byte 10: an entry runs over the end of the ziplist"},
		{"half a length", Ziplist("\x0d\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x41\xff"), "byte 10: an entry runs over the end of the ziplist"},
		{"half a size before", Ziplist("\x0d\x00\x00\x00\x0a\x00\x00\x00\x01\x00\xfe\x00\xff"), "byte 10: an entry runs over the end of the ziplist"},
		{"more", Ziplist("\x0d\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\xf2\xff"), "byte 8: the header of the ziplist says 0 elements, there are 1"},

		{"no intset", Intset("\x02\x00\x00\x00\x01\x00\x00"), "byte 0: an intset of 7 bytes"},
		{"another width", Intset("\x03\x00\x00\x00\x01\x00\x00\x00abc"), "byte 0: an intset whose members have 3 bytes"},
		{"no members", Intset("\x02\x00\x00\x00\x00\x00\x00\x00"), "byte 4: an intset without members"},
		{"too short", Intset("\x02\x00\x00\x00\x02\x00\x00\x00ab"), "byte 4: an intset of 2 members of 2 bytes each cannot have 10 in all"},
		{"twice the same", Intset("\x02\x00\x00\x00\x02\x00\x00\x00\x05\x00\x05\x00"), "byte 10: 5 in an intset comes after 5"},
		{"descending", Intset("\x02\x00\x00\x00\x02\x00\x00\x00\x05\x00\xff\xff"), "byte 10: -1 in an intset comes after 5"},

		{"no zipmap", Zipmap("\xff"), "byte 0: a zipmap of 1 bytes"},
		{"no end", Zipmap("\x00\x00"), "byte 1: byte 0x00 where the zipmap should end"},
		{"early end", Zipmap("\x00\xff\xff"), "byte 1: the zipmap ends 1 bytes too early"},
		{"long field", Zipmap("\x01\x05ab\xff"), "byte 1: a field runs over the end of the zipmap"},
		{"half a length", Zipmap("\x01\xfe\x01\x00\xff"), "byte 1: a field runs over the end of the zipmap"},
		{"long value", Zipmap("\x01\x01a\x05\x00b\xff"), "byte 3: a value runs over the end of the zipmap"},
		{"too much unused", Zipmap("\x01\x01a\x01\x05b\xff"), "byte 3: a value runs over the end of the zipmap"},
		{"fewer", Zipmap("\x02\x01a\x01\x00b\xff"), "byte 0: the header of the zipmap says 2 pairs, there are 1"},
	} {
		_, err := c.blob.Verify()
		_, aerr := drain(c.blob.All())
		if err == nil || err.Error() != "packed: corrupt at "+c.want || aerr == nil || aerr.Error() != err.Error() {
			t.Errorf("%T, %s: %v, %v; want %q", c.blob, c.name, err, aerr, c.want)
		}
	}
}

// Engines take over lengths and numbers that are wider than needed.
func TestWide(t *testing.T) {
	t.Parallel()
	for _, l := range []string{
		"\x0a\x00\x00\x00\x01\x00\xc0\x05\x02\xff",                             // 5 in 13 bits
		"\x11\x00\x00\x00\xff\xff\xf4\x05\x00\x00\x00\x00\x00\x00\x00\x09\xff", // 5 in 64 bits, count unknown
		"\x0b\x00\x00\x00\x01\x00\xe0\x015\x03\xff",                            // text of a digit, with a long length
	} {
		if got, err := drain(Listpack(l).All()); err != nil || len(got) != 1 || got[0] != "5" {
			t.Errorf("%x: %q, %v", l, got, err)
		}
	}
	z := Ziplist("\x14\x00\x00\x00\x0a\x00\x00\x00\xff\xff\xfe\x00\x00\x00\x00\x40\x015\xff")
	z[0] = byte(len(z))
	if got, err := drain(z.All()); err != nil || len(got) != 1 || got[0] != "5" {
		t.Errorf("%q, %v", got, err)
	}
}
