package capture

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

// view is a cluster as one of its primaries sees it.
type view struct {
	self   string // its own ID
	epoch  int64  // of its own configuration: it grows with every failover and every slot that it takes over
	slots  []resource.SlotRange
	owners map[string][]resource.SlotRange // all primaries with slots, by ID
}

// parseView reads the answer of a primary to CLUSTER NODES. Slots on the move are an ErrLayout.
func parseView(text string) (*view, error) {
	members, err := engine.ParseMembers(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	v := &view{owners: map[string][]resource.SlotRange{}}
	for _, m := range members {
		if m.Primary && len(m.Slots) > 0 {
			v.owners[m.ID] = resource.JoinSlots(m.Slots)
		}
		if !m.Myself {
			continue
		}
		switch {
		case !m.Primary:
			return nil, fmt.Errorf("%w: it is no primary any more", ErrLayout)
		case len(m.Migrating)+len(m.Importing) > 0:
			return nil, fmt.Errorf("%w: slots are moving", ErrLayout)
		}
		v.self, v.epoch, v.slots = m.ID, m.Epoch, resource.JoinSlots(m.Slots)
	}
	if v.self == "" {
		return nil, fmt.Errorf("%w: it does not know itself", ErrProtocol)
	}
	return v, nil
}

// checkViews wants the shards to have exactly the slots that they are said to have, each slot to be in one of them, and all primaries to agree
// on that: one that was cut off while others took its place would not.
func checkViews(shards []*member, views []*view) error {
	var all []resource.SlotRange
	for i, m := range shards {
		if want := resource.JoinSlots(m.Slots); !slices.Equal(views[i].slots, want) {
			return fmt.Errorf("%w: %s has slots %s and should have %s", ErrLayout, m.Primary.Address, few(views[i].slots), few(want))
		}
		all = append(all, m.Slots...)
	}
	if err := resource.CoverSlots(all); err != nil {
		return fmt.Errorf("%w: %w", ErrLayout, err)
	}
	for i, m := range shards {
		for j := range shards {
			if got := views[i].owners[views[j].self]; !slices.Equal(got, views[j].slots) {
				return fmt.Errorf("%w: %s says that %s has slots %s, which has %s", ErrLayout, m.Primary.Address, shards[j].Primary.Address, few(got), few(views[j].slots))
			}
		}
		if len(views[i].owners) != len(shards) {
			return fmt.Errorf("%w: %s knows of %d shards, and there should be %d", ErrLayout, m.Primary.Address, len(views[i].owners), len(shards))
		}
	}
	return nil
}

// unchanged compares what a primary saw before and after.
func (v *view) unchanged(after *view) error {
	if v.self != after.self || v.epoch != after.epoch || !reflect.DeepEqual(v.owners, after.owners) {
		return fmt.Errorf("%w: it changed while the shards were cut", ErrLayout)
	}
	return nil
}

// few keeps messages short.
func few(slots []resource.SlotRange) string {
	text := resource.FormatSlots(slots)
	if len(text) > 60 {
		text = text[:strings.LastIndexByte(text[:60], ',')] + ",…"
	}
	if text == "" {
		return "none"
	}
	return text
}
