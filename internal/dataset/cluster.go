package dataset

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// Cluster is the primaries of a cluster, in order of their first slots.
type Cluster []Primary

// Primary is a primary with the slots that it serves.
type Primary struct {
	Server
	Slots []resource.SlotRange
}

// ClusterAt asks a node of a cluster for all primaries. They are reached in the same manner as the node.
func ClusterAt(ctx context.Context, any Server) (Cluster, error) {
	c, err := any.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	v, err := c.Do(ctx, "CLUSTER", "SLOTS")
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	var all Cluster
	served := 0
	for _, row := range v.Elems {
		if len(row.Elems) < 3 || len(row.Elems[2].Elems) < 2 {
			return nil, errors.New("dataset: CLUSTER SLOTS is not as it should be")
		}
		host, err := row.Elems[2].Elems[0].Text()
		if err != nil {
			return nil, fmt.Errorf("dataset: CLUSTER SLOTS: %w", err)
		}
		address := net.JoinHostPort(host, strconv.FormatInt(row.Elems[2].Elems[1].Int, 10))
		slots := resource.SlotRange{Start: int(row.Elems[0].Int), End: int(row.Elems[1].Int)}
		served += slots.End - slots.Start + 1
		i := slices.IndexFunc(all, func(p Primary) bool { return p.Address == address })
		if i < 0 {
			i = len(all)
			at := any
			at.Address = address
			all = append(all, Primary{Server: at})
		}
		all[i].Slots = append(all[i].Slots, slots)
	}
	if served != 16384 {
		return nil, fmt.Errorf("dataset: the cluster serves %d slots", served)
	}
	slices.SortFunc(all, func(a, b Primary) int { return a.Slots[0].Start - b.Slots[0].Start })
	return all, nil
}

// owns reports whether a primary serves the slot of a key.
func (p Primary) owns(key []byte) bool {
	slot := rdb.KeySlot(key)
	return slices.ContainsFunc(p.Slots, func(r resource.SlotRange) bool { return r.Start <= slot && slot <= r.End })
}

// Fill writes the data set into the cluster, every key where it belongs.
func (c Cluster) Fill(ctx context.Context, spec Spec) (sum Stats, err error) {
	all := make([]Stats, len(c))
	g, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for i, p := range c {
		g.Go(func() (err error) {
			own := spec
			own.Owns, own.Workers = p.owns, 1
			all[i], err = Fill(ctx, p.Server, own)
			return err
		})
	}
	err = g.Wait()
	for _, s := range all {
		sum.Keys, sum.Commands, sum.Bytes = sum.Keys+s.Keys, sum.Commands+s.Commands, sum.Bytes+s.Bytes
	}
	sum.Duration = time.Since(start)
	return sum, err
}

// Digest says what the cluster holds, as DigestOf does.
func (c Cluster) Digest(ctx context.Context, ignoreExpiringBefore time.Time) (sum Digest, err error) {
	all := make([]Digest, len(c))
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range c {
		g.Go(func() (err error) {
			all[i], err = DigestOf(ctx, p.Server, ignoreExpiringBefore)
			return err
		})
	}
	err = g.Wait()
	for i, d := range all {
		if i == 0 {
			sum = d
			continue
		}
		sum = sum.Plus(d)
	}
	return sum, err
}
