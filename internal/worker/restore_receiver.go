package worker

import (
	"fmt"
	"strconv"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// receiver is what data is restored into: the primaries of a new cache.
type receiver struct {
	cache     *resource.Cache
	primaries []*resource.Node
	slots     []*rdb.SlotSet // of each primary; every slot without cluster mode
	cluster   bool           // cluster mode: database 0 alone
	databases uint64
	binary    engine.Choice
}

// defaultDatabases is what engines have without a setting.
const defaultDatabases = 16

func (w *Worker) receiverOf(d *resource.Deployment, primaries []*resource.Node, binary engine.Choice) (*receiver, error) {
	to := &receiver{cache: d.Cache, primaries: primaries, cluster: d.Layout == nil || d.Layout.ClusterMode, databases: defaultDatabases, binary: binary}
	all := 0
	for _, n := range primaries {
		ranges := n.Slots
		if !to.cluster {
			ranges = resource.AllSlots
		}
		set := slotSet(ranges)
		all += set.Len()
		to.slots = append(to.slots, set)
	}
	if all != rdb.Slots {
		return nil, job.Cancel(fmt.Errorf("the %d shards of the cache have %d slots instead of %d", len(primaries), all, rdb.Slots))
	}
	node, err := w.Engines.Node(primaries[0].ID)
	if err != nil {
		return nil, err
	}
	if n, err := strconv.ParseUint(node.Parameters["databases"], 10, 32); err == nil {
		to.databases = n
	}
	return to, nil
}

func slotSet(ranges []resource.SlotRange) *rdb.SlotSet {
	set := new(rdb.SlotSet)
	for _, r := range ranges {
		set.Add(r.Start, r.End)
	}
	return set
}

// suits refuses a file with what the cache does not have, and one that its engine cannot read. In cluster mode there is only database 0.
func (to *receiver) suits(sum *rdb.Summary) error {
	for db, keys := range sum.Databases {
		if keys == 0 {
			continue
		}
		if to.cluster && db != 0 {
			what := "a cache in cluster mode"
			if to.cache.Kind == resource.Serverless {
				what = "a serverless cache"
			}
			return fmt.Errorf("it holds %d keys in database %d, and %s has only database 0", keys, db, what)
		}
		if db >= to.databases {
			return fmt.Errorf("it holds %d keys in database %d, and the cache has %d databases", keys, db, to.databases)
		}
	}
	if len(sum.Modules) > 0 {
		return fmt.Errorf("it holds data of the modules %v, which are not installed", sum.Modules)
	}
	if lowest := rdb.LowestVersion(sum); lowest > writable(to.binary) {
		return fmt.Errorf("%s %s cannot read it: unsupported RDB version %d: what it holds needs version %d or later",
			to.binary.Engine, to.binary.FullVersion, sum.Version, lowest)
	}
	return nil
}

// reads tells whether the engine takes a file with this header as it is.
func (to *receiver) reads(sum *rdb.Summary) bool {
	return engine.CanLoad(to.binary.Engine, to.binary.Binary.Version, sum.Family, sum.Version)
}

// writable is the newest version that package rdb writes and the engine reads.
func writable(binary engine.Choice) int {
	own := engine.RDBOf(binary.Engine, binary.Binary.Version)
	if own.Family == rdb.FamilyValkey {
		return 80
	}
	return min(own.Writes, 12)
}

// rdbHeader is the length of magic and version.
const rdbHeader = 9
