package rdb

import (
	"testing"

	"pgregory.net/rapid"
)

func TestKeySlot(t *testing.T) {
	t.Parallel()
	same := func(a, b string) {
		t.Helper()
		if x, y := KeySlot([]byte(a)), KeySlot([]byte(b)); x != y {
			t.Errorf("%q is in slot %d, %q in %d", a, x, b, y)
		}
	}
	if got := crc16([]byte("123456789")); got != 0x31c3 {
		t.Errorf("checksum %#x, want 0x31c3", got)
	}
	for key, want := range map[string]int{"": 0, "foo": 12182, "somekey": 11058, "123456789": 0x31c3 % Slots} {
		if got := KeySlot([]byte(key)); got != want {
			t.Errorf("slot of %q = %d, want %d", key, got, want)
		}
	}
	same("a{b}{c}", "b")
	same("{user1000}.following", "{user1000}.followers")
	same("foo{{bar}}zap", "{bar")
	same("foo{bar}{zap}", "bar")
	if got, want := KeySlot([]byte("{}x")), int(crc16([]byte("{}x")))%Slots; got != want {
		t.Errorf("an empty tag counts: %d, want %d", got, want)
	}
	if got, want := KeySlot([]byte("x{open")), int(crc16([]byte("x{open")))%Slots; got != want {
		t.Errorf("an open tag counts: %d, want %d", got, want)
	}
}

// Two bytes at a time must be what the definition gives bit by bit.
func TestCRC16(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOf(rapid.Byte()).Draw(t, "p")
		var want uint16
		for _, b := range p {
			for bit := 7; bit >= 0; bit-- {
				in := uint16(b)>>bit&1 ^ want>>15
				want = want<<1 ^ 0x1021*in
			}
		}
		if got := crc16(p); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
	})
}
