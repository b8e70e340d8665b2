package rdb

import (
	"bytes"
	"testing"
)

func TestKeysWithoutSlots(t *testing.T) {
	t.Parallel()
	file := newFile(11).set("a", "1").set("b", "2").end()
	var all SlotSet
	all.Add(0, Slots-1)
	for want, o := range map[int]Options{-1: {NoSlots: true}, KeySlot([]byte("b")): {NoSlots: true, Slots: &all}} {
		got, keys := 0, ""
		o.Keys, o.OnRecord = true, func(r *Record) error {
			got, keys = r.Slot, keys+string(r.Key)
			return nil
		}
		if _, err := NewScanner(bytes.NewReader(file), o).Scan(); err != nil || keys != "ab" || got != want {
			t.Errorf("keys %q, slot %d, %v; want slot %d", keys, got, err, want)
		}
	}
}
