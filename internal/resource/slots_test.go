package resource

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestSlotSharesCover(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 600).Draw(rt, "shards")
		shares := EqualSlots(n)
		if err := CoverSlots(shares); err != nil || len(shares) != n {
			rt.Fatalf("%d shares: %v", len(shares), err)
		}
		for _, s := range shares {
			if size := s.End - s.Start + 1; size < SlotCount/n || size > SlotCount/n+1 {
				rt.Fatalf("a share of %d has %d slots", n, size)
			}
		}
		if joined := JoinSlots(rapid.Permutation(shares).Draw(rt, "order")); !reflect.DeepEqual(joined, AllSlots) {
			rt.Fatalf("shares join to %v", joined)
		}
		hole := rapid.IntRange(0, n-1).Draw(rt, "hole")
		if CoverSlots(append(append([]SlotRange{}, shares[:hole]...), shares[hole+1:]...)) == nil || CoverSlots(append(shares, shares[hole])) == nil {
			rt.Fatal("a missing or doubled range covers")
		}
	})
	if got := FormatSlots(EqualSlots(3)); got != "0-5460,5461-10922,10923-16383" {
		t.Errorf("three shares are %s", got)
	}
}

func TestSlotsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ranges := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) SlotRange {
			a := rapid.IntRange(0, SlotCount-1).Draw(rt, "start")
			return SlotRange{a, rapid.IntRange(a, SlotCount-1).Draw(rt, "end")}
		}), 1, 10).Draw(rt, "ranges")
		if got, err := ParseSlots(FormatSlots(ranges)); err != nil || !reflect.DeepEqual(got, ranges) {
			rt.Fatalf("%v came back as %v, %v", ranges, got, err)
		}
	})
	for _, bad := range []string{"", "-", "a-b", "5-4", "0-16384", "-1-5", "0-5,", "0 - 5", "99999999999999999999"} {
		if got, err := ParseSlots(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

func FuzzParseSlots(f *testing.F) {
	for _, s := range []string{"0-16383", "0,2-3, 16383", "5-4", "", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ranges, err := ParseSlots(s)
		if err != nil {
			return
		}
		for _, r := range ranges {
			if r.Start < 0 || r.Start > r.End || r.End >= SlotCount {
				t.Fatalf("%q is read as %v", s, ranges)
			}
		}
		if again, err := ParseSlots(FormatSlots(ranges)); err != nil || !reflect.DeepEqual(again, ranges) {
			t.Fatalf("%v came back as %v, %v", ranges, again, err)
		}
		_ = CoverSlots(ranges)
	})
}
