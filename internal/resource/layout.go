package resource

import (
	"cmp"
	"slices"
	"time"
)

// Layout is what a cache of nodes has beyond a serverless one. It says how the cache shall be; its nodes' records say how it is.
type Layout struct {
	NodeType       string
	EngineVersion  string // as AWS names it: "7.1", "8.0", "1.6.17"
	Port           int
	ClusterMode    bool
	Shards         []Shard // in order of name; a cache without cluster mode has one, a memcached cluster one without slots
	MemcachedNodes int     `json:",omitempty"`

	AutomaticFailover bool
	MultiAZ           bool
	ParameterGroup    string
	ParameterStatus   ParameterStatus
	SubnetGroup       string
	MaintenanceWindow string // "sun:05:00-sun:06:00", UTC
	SnapshotWindow    string // "03:00-04:00", UTC
	SnapshottingNode  string // name of the member that daily snapshots are taken from, without cluster mode
	AutoMinorUpgrade  bool
	Topic             string // SNS topic ARN, kept and shown
	TopicStatus       string // active or inactive
	AtRestEncryption  bool
	DurableLog        bool // an append-only file on every node: MemoryDB

	AuthTokens  []string  `json:",omitempty"` // SHA-256 of the tokens that are accepted, the newest last
	AuthTokenAt time.Time `json:",omitzero"`
	UserGroups  []string  `json:",omitempty"` // names; in MemoryDB the one ACL

	Pending *Pending `json:",omitempty"` // what waits for the maintenance window
}

// Pending is a change that interrupts service, kept until the maintenance window. Empty fields stay as they are.
type Pending struct {
	Engine         Engine   `json:",omitempty"`
	EngineVersion  string   `json:",omitempty"`
	ParameterGroup string   `json:",omitempty"` // that goes with the engine
	NodeType       string   `json:",omitempty"`
	Nodes          int      `json:",omitempty"` // of a memcached cluster
	RemoveNodes    []string `json:",omitempty"` // their numbers
	NewZones       []string `json:",omitempty"` // of nodes that are added
}

// Shard is a range of slots with a primary and replicas.
type Shard struct {
	Name     string      // "0001"
	Slots    []SlotRange `json:",omitempty"`
	Replicas int
}

// ParameterStatus says whether the nodes run with the values of their parameter group.
type ParameterStatus string

const (
	ParametersInSync        ParameterStatus = "in-sync"
	ParametersApplying      ParameterStatus = "applying"
	ParametersPendingReboot ParameterStatus = "pending-reboot"
)

// EngineVersion is the version that was asked for: the major one of a serverless cache, the full name of others.
func (c *Cache) EngineVersion() string {
	if c.Layout != nil {
		return c.Layout.EngineVersion
	}
	return c.MajorEngineVersion
}

// Deployment is a cache with its nodes, in order of shard, then primary first, then name and number.
type Deployment struct {
	*Cache
	Nodes []*Node
}

// NewDeployment puts nodes in order.
func NewDeployment(c *Cache, nodes []*Node) *Deployment {
	slices.SortFunc(nodes, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Number, b.Number), cmp.Compare(a.ID, b.ID))
	})
	return &Deployment{c, nodes}
}

// Of lists the nodes of a shard.
func (d *Deployment) Of(shard string) (nodes []*Node) {
	for _, n := range d.Nodes {
		if n.Shard == shard {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Primary is the primary of a shard, or nil.
func (d *Deployment) Primary(shard string) *Node {
	for _, n := range d.Nodes {
		if n.Shard == shard && n.Primary {
			return n
		}
	}
	return nil
}

// Reader is where a shard's readers connect: its first replica that serves, else its primary.
func (d *Deployment) Reader(shard string) *Node {
	for _, n := range d.Nodes {
		if n.Shard == shard && !n.Primary && n.Status == NodeAvailable {
			return n
		}
	}
	return d.Primary(shard)
}

// Member finds a node by its member name, or nil.
func (d *Deployment) Member(name string) *Node {
	for _, n := range d.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// Node finds a node by identity, or nil.
func (d *Deployment) Node(id string) *Node {
	for _, n := range d.Nodes {
		if n.ID == id {
			return n
		}
	}
	return nil
}
