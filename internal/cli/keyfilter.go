package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/glob"
	"github.com/keyframe/keyframe/rdb"
)

// keyFilter is what the flags say of which keys are meant.
type keyFilter struct {
	pattern, kind, least, before string
	db, slot                     int64
	forever                      bool

	match    *glob.Pattern
	of       rdb.Kind // KindUnknown: any
	size     int64
	deadline int64 // Unix milliseconds; 0: none
}

var kinds = []rdb.Kind{rdb.KindString, rdb.KindList, rdb.KindSet, rdb.KindSortedSet, rdb.KindHash, rdb.KindStream, rdb.KindModule}

func (k *keyFilter) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&k.pattern, "match", "*", `pattern as of the command KEYS: * ? [a-z] [^x] \*`)
	f.StringVar(&k.kind, "type", "", "type as the command TYPE says it: string, list, set, zset, hash, stream, module")
	f.Int64Var(&k.db, "db", -1, "database; -1 is all")
	f.Int64Var(&k.slot, "slot", -1, "hash slot, 0 to 16383; -1 is all")
	f.StringVar(&k.least, "min-size", "0", "least size in the file, such as 10MB")
	f.StringVar(&k.before, "expires-before", "", "keys that expire before an instant (RFC 3339), or within a time from now such as 24h")
	f.BoolVar(&k.forever, "no-expiry", false, "keys that never expire")
}

// prepare checks the flags.
func (k *keyFilter) prepare(now time.Time) error {
	k.match = glob.Compile(k.pattern)
	if k.kind != "" {
		for _, kind := range kinds {
			if strings.EqualFold(k.kind, kind.String()) {
				k.of = kind
			}
		}
		if k.of == rdb.KindUnknown {
			return usageError{fmt.Errorf("--type %q is none of string, list, set, zset, hash, stream, module", k.kind)}
		}
	}
	if k.slot >= rdb.Slots || k.slot < -1 {
		return usageError{fmt.Errorf("--slot %d: slots are 0 to %d", k.slot, rdb.Slots-1)}
	}
	n, err := humanize.ParseBytes(k.least)
	if err != nil || n > 1<<62 {
		return usageError{fmt.Errorf("--min-size %q is not a size such as 10MB", k.least)}
	}
	k.size = int64(n)
	if k.before == "" {
		return nil
	}
	if k.forever {
		return usageError{fmt.Errorf("--expires-before and --no-expiry exclude each other")}
	}
	at, err := time.Parse(time.RFC3339, k.before)
	if err != nil {
		d, derr := time.ParseDuration(k.before)
		if derr != nil {
			return usageError{fmt.Errorf("--expires-before %q is neither an instant such as 2026-12-31T00:00:00Z nor a time such as 24h", k.before)}
		}
		at = now.Add(d)
	}
	k.deadline = at.UnixMilli()
	return nil
}

// key tells whether a record is meant, but for its size, which is known when its value was read.
func (k *keyFilter) key(r *rdb.Record) bool {
	switch {
	case k.db >= 0 && r.DB != uint64(k.db), k.slot >= 0 && int64(r.Slot) != k.slot:
		return false
	case k.forever && r.ExpireAt != 0, k.deadline != 0 && (r.ExpireAt == 0 || r.ExpireAt >= k.deadline):
		return false
	case k.of != rdb.KindUnknown && kindOf(r.Type) != k.of:
		return false
	}
	return k.match.Match(r.Key)
}

// streams are those that can hold a key that is meant.
func (k *keyFilter) streams(all []*stream) (some []*stream) {
	slot := k.slot
	if key, only := k.match.Literal(); only && slot < 0 {
		slot = int64(rdb.KeySlot(key))
	}
	for _, st := range all {
		if slot < 0 || st.slots == nil || st.slots.Has(int(slot)) {
			some = append(some, st)
		}
	}
	return some
}

// kindOf is the kind of a type byte of either family: where their numbers clash, only one of them can be read.
func kindOf(t byte) rdb.Kind {
	if k := rdb.TypeKind(rdb.FamilyRedis, t); k != rdb.KindUnknown {
		return k
	}
	return rdb.TypeKind(rdb.FamilyValkey, t)
}

// encodingOf says how a value is stored, as in "listpack"; "plain" when it is not packed.
func encodingOf(t byte) string {
	fam := rdb.FamilyRedis
	if rdb.TypeKind(fam, t) == rdb.KindUnknown {
		fam = rdb.FamilyValkey
	}
	if _, how, ok := strings.Cut(rdb.TypeName(fam, t), ", "); ok {
		return how
	}
	return "plain"
}
