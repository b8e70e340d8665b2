package engine

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// ClusterNode is one node as every node of a cluster knows it before the first start.
type ClusterNode struct {
	ID      string // Keyframe's id of the node
	Shard   string
	Address string
	Port    int
	BusPort int
	Primary bool
	Slots   []resource.SlotRange // of a primary
}

// ClusterID is the name of a node or shard inside a cluster: forty hexadecimal digits that follow from Keyframe's own id.
func ClusterID(id string) string {
	h := sha1.Sum([]byte(id))
	return hex.EncodeToString(h[:])
}

// NodesConf is the cluster state file of node self, which names every node, its slots and a config epoch of its own. A node
// that starts with data must have it: without, it would claim whatever slots it holds keys for.
func NodesConf(v Version, e resource.Engine, self string, nodes []ClusterNode, tls bool) (string, error) {
	primaries := make(map[string]string) // shard to cluster id
	for _, n := range nodes {
		if n.Primary {
			if primaries[n.Shard] != "" {
				return "", fmt.Errorf("shard %s has two primaries", n.Shard)
			}
			primaries[n.Shard] = ClusterID(n.ID)
		}
	}
	var owner [16384]bool
	var b strings.Builder
	found, epoch := false, int64(0)
	for _, n := range nodes {
		flags, master, slots := "slave", primaries[n.Shard], ""
		if master == "" {
			return "", fmt.Errorf("shard %s has no primary", n.Shard)
		}
		nodeEpoch := int64(0)
		if n.Primary {
			epoch++
			flags, master, nodeEpoch = "master", "-", epoch
			for _, r := range n.Slots {
				if r.Start < 0 || r.End > 16383 || r.Start > r.End {
					return "", fmt.Errorf("shard %s: slot range %d-%d is malformed", n.Shard, r.Start, r.End)
				}
				for s := r.Start; s <= r.End; s++ {
					if owner[s] {
						return "", fmt.Errorf("slot %d has two owners", s)
					}
					owner[s] = true
				}
			}
			slots = slotText(n.Slots)
		} else if len(n.Slots) > 0 {
			return "", fmt.Errorf("replica %s cannot own slots", n.ID)
		}
		if n.ID == self {
			found = true
			flags = "myself," + flags
		}
		b.WriteString(nodeLine(v, e, ClusterID(n.ID), n, flags, master, nodeEpoch, slots, tls))
	}
	if !found {
		return "", fmt.Errorf("node %s is not among the nodes of its cluster", self)
	}
	if i := slices.Index(owner[:], false); i >= 0 {
		return "", fmt.Errorf("slot %d has no owner", i)
	}
	fmt.Fprintf(&b, "vars currentEpoch %d lastVoteEpoch 0\n", epoch)
	return b.String(), nil
}

// nodeLine describes one node. Of n it takes shard and addresses.
func nodeLine(v Version, e resource.Engine, id string, n ClusterNode, flags, master string, epoch int64, slots string, tls bool) string {
	aux := ""
	if e == Valkey || v.AtLeast(7, 2) { // Redis 7.0 would take it for a host name
		if tls {
			aux = fmt.Sprintf(",,tls-port=%d,shard-id=%s", n.Port, ClusterID("shard "+n.Shard))
		} else {
			aux = fmt.Sprintf(",,tls-port=0,shard-id=%s", ClusterID("shard "+n.Shard))
		}
	}
	port := n.Port
	if tls && aux != "" {
		port = 0 // the plain port, which is closed
	}
	return fmt.Sprintf("%s %s:%d@%d%s %s %s 0 0 %d connected%s\n", id, n.Address, port, n.BusPort, aux, flags, master, epoch, slots)
}

// CheckSlots returns an error unless the ranges are all 16384 slots, each once.
func CheckSlots(ranges []resource.SlotRange) error {
	_, err := NodesConf(Version{Major: 7}, Redis, "x", []ClusterNode{{ID: "x", Primary: true, Slots: ranges}}, false)
	return err
}
