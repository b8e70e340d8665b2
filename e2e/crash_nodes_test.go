package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

func addressOf(n *resource.Node) string { return net.JoinHostPort(n.Address, strconv.Itoa(n.Port)) }

// contents is what a cache holds, as its clients see it.
func contents(ctx context.Context, cache *resource.Cache, nodes []*resource.Node) (dataset.Digest, error) {
	if cache.Layout != nil && !cache.Layout.ClusterMode {
		return dataset.DigestOf(ctx, dataset.At(addressOf(nodes[0])), time.Time{})
	}
	cluster, err := dataset.ClusterAt(ctx, dataset.At(net.JoinHostPort(cache.Endpoint.Address, strconv.Itoa(cache.Endpoint.Port))))
	if err != nil {
		return dataset.Digest{}, err
	}
	return cluster.Digest(ctx, time.Time{})
}

// caches compares the records of available caches with the processes that run and with what these say of themselves and of each other.
func (s *server) caches(t *testing.T, c *catalogue) error {
	t.Helper()
	var errs []error
	running := s.engines(t)
	for name, cache := range c.caches {
		if cache.Status != resource.CacheAvailable {
			continue
		}
		nodes := c.nodes[cache.ID]
		err := shaped(cache, nodes)
		for _, n := range nodes {
			if len(running[n.ID]) != 1 {
				err = errors.Join(err, fmt.Errorf("node %s has the engine processes %v, want one", n.ID, running[n.ID]))
			}
			if cache.Layout != nil && n.Status != resource.NodeAvailable {
				err = errors.Join(err, fmt.Errorf("node %s is %s", n.ID, n.Status))
			}
		}
		if err == nil && cache.Engine != resource.Memcached {
			err = told(t.Context(), cache, nodes)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("cache %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// shaped wants the nodes on record to be those of the layout on record, and every slot to belong to one shard.
func shaped(cache *resource.Cache, nodes []*resource.Node) error {
	if cache.Layout == nil {
		if cache.Engine == resource.Memcached && len(nodes) == 1 && len(nodes[0].Slots) == 0 {
			return nil
		}
		if len(nodes) != 1 || !nodes[0].Primary || !slices.Equal(nodes[0].Slots, resource.AllSlots) {
			return fmt.Errorf("%d nodes are on record, want one with all slots", len(nodes))
		}
		return nil
	}
	if cache.Engine == resource.Memcached {
		if len(nodes) != cache.Layout.MemcachedNodes {
			return fmt.Errorf("%d nodes are on record, want %d", len(nodes), cache.Layout.MemcachedNodes)
		}
		return nil
	}
	total, served := 0, 0
	for _, shard := range cache.Layout.Shards {
		primaries, replicas := 0, 0
		for _, n := range nodes {
			switch {
			case n.Shard != shard.Name:
				continue
			case n.Primary:
				primaries++
			default:
				replicas++
			}
			if cache.Layout.ClusterMode && !slices.Equal(n.Slots, shard.Slots) {
				return fmt.Errorf("node %s has the slots %v on record, its shard %v", n.Name, n.Slots, shard.Slots)
			}
		}
		if primaries != 1 || replicas != shard.Replicas {
			return fmt.Errorf("shard %s has %d primaries and %d replicas on record, want 1 and %d", shard.Name, primaries, replicas, shard.Replicas)
		}
		total += primaries + replicas
		for _, r := range shard.Slots {
			served += r.End - r.Start + 1
		}
	}
	if total != len(nodes) {
		return fmt.Errorf("%d nodes are on record, %d are of the layout", len(nodes), total)
	}
	if cache.Layout.ClusterMode && served != 16384 {
		return fmt.Errorf("the shards on record have %d slots", served)
	}
	return nil
}

// told wants every engine to have the role that is on record, and all engines of a cluster to agree about nodes and slots.
func told(ctx context.Context, cache *resource.Cache, nodes []*resource.Node) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(len(nodes))*10*time.Second)
	defer cancel()
	sizes := map[string]int64{} // of primaries by shard, which come before their replicas
	for _, n := range nodes {
		c := redis.NewClient(&redis.Options{Addr: addressOf(n), Protocol: 2, DisableIdentity: true, MaxRetries: -1})
		defer c.Close()
		size, err := c.DBSize(ctx).Result()
		if err != nil {
			return fmt.Errorf("node %s: %w", n.ID, err)
		}
		if n.Primary {
			sizes[n.Shard] = size
		} else if size != sizes[n.Shard] {
			return fmt.Errorf("replica %s has %d keys, its primary %d", n.Name, size, sizes[n.Shard])
		}
		if cache.Layout == nil || cache.Layout.ClusterMode {
			if err := agreed(ctx, c, n, nodes); err != nil {
				return err
			}
		}
		role, err := c.Do(ctx, "ROLE").Slice()
		if err != nil || len(role) < 3 {
			return fmt.Errorf("node %s: %v, %w", n.ID, role, err)
		}
		if leads := role[0] == "master"; leads != n.Primary {
			return fmt.Errorf("node %s is the engines' %v, primary on record: %t", n.Name, role[0], n.Primary)
		}
		if n.Primary {
			continue
		}
		i := slices.IndexFunc(nodes, func(o *resource.Node) bool { return o.Primary && o.Shard == n.Shard })
		if at := net.JoinHostPort(fmt.Sprint(role[1]), fmt.Sprint(role[2])); at != addressOf(nodes[i]) || role[3] != "connected" {
			return fmt.Errorf("node %s follows %s (%v), its primary is at %s", n.Name, at, role[3], addressOf(nodes[i]))
		}
	}
	return nil
}

// agreed wants a node of a cluster to see just those on record, with their slots, and no slot on its way.
func agreed(ctx context.Context, c *redis.Client, n *resource.Node, nodes []*resource.Node) error {
	text, err := c.ClusterNodes(ctx).Result()
	if err != nil {
		return fmt.Errorf("node %s: %w", n.ID, err)
	}
	members, err := engine.ParseMembers(text)
	if err != nil {
		return err
	}
	if len(members) != len(nodes) {
		return fmt.Errorf("node %s sees %d nodes, on record are %d:\n%s", n.ID, len(members), len(nodes), text)
	}
	for _, m := range members {
		i := slices.IndexFunc(nodes, func(o *resource.Node) bool { return engine.ClusterID(o.ID) == m.ID })
		switch {
		case i < 0:
			return fmt.Errorf("node %s sees a node that is not on record:\n%s", n.ID, text)
		case m.Primary != nodes[i].Primary, m.Failed, m.Suspected, len(m.Migrating)+len(m.Importing) > 0,
			m.Primary && !slices.Equal(m.Slots, nodes[i].Slots):
			return fmt.Errorf("node %s, with slots %v and primary %t on record, is seen otherwise by %s:\n%s", nodes[i].ID, nodes[i].Slots, nodes[i].Primary, n.ID, text)
		}
	}
	return nil
}
