package resource

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// SlotCount is the number of hash slots.
const SlotCount = 16384

// EqualSlots cuts the slots into n equal shares in order, as engines' own tools do. n is 1 to SlotCount.
func EqualSlots(n int) []SlotRange {
	shares, start := make([]SlotRange, n), 0
	for i := range shares {
		end := int(math.Round(float64(i+1) * SlotCount / float64(n)))
		shares[i] = SlotRange{start, end - 1}
		start = end
	}
	return shares
}

// ParseSlots reads "0-5460", or several ranges and single slots with commas between.
func ParseSlots(s string) ([]SlotRange, error) {
	var all []SlotRange
	for part := range strings.SplitSeq(s, ",") {
		from, to, ok := strings.Cut(strings.TrimSpace(part), "-")
		if !ok {
			to = from
		}
		start, err := strconv.ParseUint(from, 10, 16)
		end, err2 := strconv.ParseUint(to, 10, 16)
		if err != nil || err2 != nil || start > end || end >= SlotCount {
			return nil, fmt.Errorf("%.40q is not a range of slots such as 0-5460, within 0-%d", part, SlotCount-1)
		}
		if all = append(all, SlotRange{int(start), int(end)}); len(all) > SlotCount {
			return nil, fmt.Errorf("there are more ranges than slots")
		}
	}
	return all, nil
}

// FormatSlots writes ranges as ParseSlots reads them; nothing for none.
func FormatSlots(ranges []SlotRange) string {
	text := make([]string, len(ranges))
	for i, r := range ranges {
		if text[i] = strconv.Itoa(r.Start); r.End != r.Start {
			text[i] += "-" + strconv.Itoa(r.End)
		}
	}
	return strings.Join(text, ",")
}

// CoverSlots checks that every slot is in exactly one of some ranges.
func CoverSlots(ranges []SlotRange) error {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b SlotRange) int { return a.Start - b.Start })
	next := 0
	for _, r := range sorted {
		switch {
		case r.Start > r.End || r.Start < 0 || r.End >= SlotCount:
			return fmt.Errorf("%d-%d is not a range of slots within 0-%d", r.Start, r.End, SlotCount-1)
		case r.Start < next:
			return fmt.Errorf("slot %d is given to more than one shard", r.Start)
		case r.Start > next:
			return fmt.Errorf("slot %d is given to no shard", next)
		}
		next = r.End + 1
	}
	if next != SlotCount {
		return fmt.Errorf("slot %d is given to no shard", next)
	}
	return nil
}

// JoinSlots sorts ranges and joins neighbours.
func JoinSlots(ranges []SlotRange) (joined []SlotRange) {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b SlotRange) int { return a.Start - b.Start })
	for _, r := range sorted {
		if n := len(joined); n > 0 && joined[n-1].End+1 == r.Start {
			joined[n-1].End = r.End
			continue
		}
		joined = append(joined, r)
	}
	return joined
}
