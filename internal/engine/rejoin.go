package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// RejoinConf is the cluster state file with which a node enters a cluster that runs as a replica of the member primaryID, whatever it
// was before: a primary that died must not claim its old slots again. Members are the cluster as a live node of it sees it; the
// node itself may be among them. ShardOf names the shard of a member by its cluster ID, or is empty where that is not known.
func RejoinConf(v Version, e resource.Engine, self ClusterNode, primaryID string, members []Member, shardOf func(id string) string, tls bool) (string, error) {
	me := ClusterID(self.ID)
	known := map[string]Member{}
	for _, m := range members {
		if m.ID != me && !m.Handshake && m.Address != "" {
			known[m.ID] = m
		}
	}
	if p, ok := known[primaryID]; !ok || !p.Primary {
		return "", fmt.Errorf("%.40q is not a primary of the cluster that %s is to join", primaryID, self.ID)
	}
	shard := func(primary string) string {
		if name := shardOf(primary); name != "" {
			return name
		}
		return primary
	}
	var b strings.Builder
	epoch := int64(0)
	for _, m := range members {
		if _, ok := known[m.ID]; !ok {
			continue
		}
		epoch = max(epoch, m.Epoch)
		flags, of, nodeEpoch := "master", "-", m.Epoch
		n := ClusterNode{Shard: shard(m.ID), Address: m.Address, Port: m.Port, BusPort: m.BusPort}
		if !m.Primary {
			of = m.PrimaryID
			if p, ok := known[of]; !ok || !p.Primary {
				of = primaryID // it followed this node, and turns round like this one
			}
			flags, nodeEpoch, n.Shard = "slave", 0, shard(of)
		}
		b.WriteString(nodeLine(v, e, m.ID, n, flags, of, nodeEpoch, slotText(m.Slots), tls))
	}
	self.Shard = shard(primaryID)
	b.WriteString(nodeLine(v, e, me, self, "myself,slave", primaryID, 0, "", tls))
	fmt.Fprintf(&b, "vars currentEpoch %d lastVoteEpoch 0\n", epoch)
	return b.String(), nil
}

// slotText lists ranges as cluster state files do, each after a space.
func slotText(ranges []resource.SlotRange) string {
	var b strings.Builder
	for _, r := range ranges {
		if r.Start == r.End {
			fmt.Fprintf(&b, " %d", r.Start)
		} else {
			fmt.Fprintf(&b, " %d-%d", r.Start, r.End)
		}
	}
	return b.String()
}

// ParseSelf finds in a cluster state file the line of the node that wrote it.
func ParseSelf(text string) (*Member, error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 || f[0] == "vars" || !slices.Contains(strings.Split(f[2], ","), "myself") {
			continue
		}
		m, err := parseMember(f)
		if err != nil {
			return nil, fmt.Errorf("cluster state file: line %.120q: %w", line, err)
		}
		return &m, nil
	}
	return nil, errors.New("the cluster state file does not tell who wrote it")
}
