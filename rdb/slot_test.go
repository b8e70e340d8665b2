package rdb

import (
	"bytes"
	"errors"
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

func TestSlotSet(t *testing.T) {
	t.Parallel()
	var set SlotSet
	set.Add(3, 3)
	set.Add(60, 70)
	set.Add(16380, 20000)
	set.Add(-5, 0)
	set.Add(9, 8)
	want := map[int]bool{0: true, 3: true, 16380: true, 16381: true, 16382: true, 16383: true}
	for n := 60; n <= 70; n++ {
		want[n] = true
	}
	for n := -100; n < 20000; n++ {
		if set.Has(n) != want[n] {
			t.Errorf("slot %d: %v", n, set.Has(n))
		}
	}
	if set.Len() != len(want) {
		t.Errorf("%d slots, want %d", set.Len(), len(want))
	}
}

// Each record of every sample is found by the set that lacks its slot, in windows of any size and with keys or without.
func TestRecordsOutsideOfSlots(t *testing.T) {
	t.Parallel()
	for _, smp := range samples() {
		var all SlotSet
		all.Add(0, Slots-1)
		for i, w := range smp.want {
			slots, slot := all, KeySlot([]byte(w.key))
			slots[slot/64] &^= 1 << (slot % 64)
			first := int64(0) // the first record of the slot
			for first < int64(i) && KeySlot([]byte(smp.want[first].key)) != slot {
				first++
			}
			for _, window := range []int{128, 4096} {
				for _, keys := range []bool{false, true} {
					_, err := newScanner(bytes.NewReader(smp.file), Options{Slots: &slots, Keys: keys}, window).Scan()
					var wrong *SlotError
					if !errors.As(err, &wrong) || wrong.Slot != slot || wrong.Record != first+1 || !errors.Is(err, ErrCorrupt) {
						t.Fatalf("%s: %q: %v, want slot %d in record %d", smp.name, w.key, err, slot, first+1)
					}
					var corrupt *CorruptError
					if !errors.As(err, &corrupt) || corrupt.Offset != wrong.Offset || corrupt.Section != "key" || corrupt.Reason == "" {
						t.Fatalf("%s: %q: %v is %+v", smp.name, w.key, err, corrupt)
					}
				}
			}
		}
		n := 0
		o := Options{Slots: &all, OnRecord: func(r *Record) error {
			if r.Slot != KeySlot([]byte(smp.want[n].key)) || r.Key != nil {
				t.Errorf("%s: record %+v of %q", smp.name, r, smp.want[n].key)
			}
			n++
			return nil
		}}
		if _, err := newScanner(bytes.NewReader(smp.file), o, 128).Scan(); err != nil || n != len(smp.want) {
			t.Errorf("%s: %d records, %v", smp.name, n, err)
		}
	}
}
