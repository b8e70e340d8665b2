package keyspace

import (
	"hash/maphash"
)

// A sketch counts by prefix in bounded memory. The prefixes that it holds are a
// tree; a key counts at the deepest that is held, and the weight of a prefix is
// the sum of its subtree. While all fit nothing is lost.
//
// When the tree is full, light leaves give their weight to their parents and go, and
// from then on a prefix that is not held has to earn its place: every prefix belongs
// by its hash to one of some thousand cells. A cell counts what passed its prefixes
// by, which means was counted above them; it may grow up to an allowance, which is a
// small share of the whole. What would go beyond opens a node instead.
//
// So what a prefix lacks was lost while it, or a prefix of it, was not held, and is
// in the cell of that one: the cells of a prefix and of its own prefixes together
// bound its error. Cells are shared, so the bound is mostly above the error.
type sketch struct {
	nodes     []node   // nodes[0] is the root
	index     []uint32 // open addressing by hash, of slot; 0 is empty, there the root is never
	short     [shortcuts]shortcut
	free      []uint32 // places in nodes
	room      int      // most nodes
	top       uint32   // so many children of the root always have a place
	topLost   bool     // one of them was not held when it came
	cells     []Count  // nil as long as nothing was lost
	cellCount int
	total     Count
	factor    int64 // the allowance is so many times an even share of the whole among the cells
	allowance Count
	stale     int // additions until the allowance grows with the whole
}

type node struct {
	hash     uint64
	own      Count
	parent   uint32
	children uint32
	used     bool
	text     []byte // behind the parent's
}

// One seed for the process, so that sketches merge. It is secret, so that nobody
// can make keys that collide.
var seed = maphash.MakeSeed()

// newSketch holds so many prefixes, beside so many cells, a power of two. The first
// top prefixes that are in no other are exact, however many there are below them.
func newSketch(room, cells, top int) *sketch {
	return &sketch{top: uint32(top), nodes: make([]node, 1, 64), index: make([]uint32, 128), room: room, cellCount: cells, factor: 8}
}

// add counts a weight at the deepest prefix of key that is held, which opens those
// that are missing if they may.
func (s *sketch) add(key []byte, c *cuts, weight Count) {
	s.total.add(weight)
	if s.cells != nil {
		if s.stale--; s.stale <= 0 {
			s.allow()
		}
	}
	s.count(key, c, weight, s.cells != nil)
}

// count is add without the whole. choosy lets weight pass by prefixes that are not held.
func (s *sketch) count(key []byte, c *cuts, weight Count, choosy bool) {
	if c.n == 0 {
		s.nodes[0].own.add(weight)
		return
	}
	whole := key[:c.ends[c.n-1]]
	if at := s.short[shortcutOf(whole)].to(whole); at != 0 {
		s.nodes[at].own.add(weight)
		return
	}
	if len(s.nodes)-len(s.free)+c.n > s.room {
		s.compress()
	}
	at, from := uint32(0), uint8(0)
	for _, to := range c.ends[:c.n] {
		hash := maphash.Bytes(seed, key[:to])
		next := s.find(hash, at, key[from:to])
		if next == 0 {
			if choosy && (at != 0 || s.nodes[0].children >= s.top) {
				cell := s.cell(hash)
				if sum := cell.plus(weight); sum.within(s.allowance) {
					*cell = sum
					s.topLost = s.topLost || at == 0
					break
				}
			}
			next = s.open(hash, at, key[from:to])
		}
		at, from = next, to
	}
	n := &s.nodes[at]
	n.own.add(weight)
	if n.own.Keys&15 == 0 && int(from) == len(whole) { // one that comes often
		s.short[shortcutOf(whole)].set(whole, at)
	}
}

// find is the node of a prefix, 0 for none.
func (s *sketch) find(hash uint64, parent uint32, text []byte) uint32 {
	mask := uint64(len(s.index) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		slot := s.index[i]
		if slot == 0 {
			return 0
		}
		at := slot & maxNode
		if slot != slotOf(hash, at) {
			continue
		}
		if n := &s.nodes[at]; n.hash == hash && n.parent == parent && string(n.text) == string(text) {
			return at
		}
	}
}

// open makes a node. There is room.
func (s *sketch) open(hash uint64, parent uint32, text []byte) uint32 {
	var at uint32
	if n := len(s.free); n > 0 {
		at = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		at = uint32(len(s.nodes))
		s.nodes = append(s.nodes, node{})
	}
	n := &s.nodes[at]
	*n = node{hash: hash, parent: parent, used: true, text: append(n.text[:0], text...)}
	s.nodes[parent].children++
	if 2*len(s.nodes) > len(s.index) {
		s.index = make([]uint32, 2*len(s.index))
		s.reindex()
	} else {
		s.place(at)
	}
	return at
}

func (s *sketch) place(at uint32) {
	mask := uint64(len(s.index) - 1)
	i := s.nodes[at].hash & mask
	for s.index[i] != 0 {
		i = (i + 1) & mask
	}
	s.index[i] = slotOf(s.nodes[at].hash, at)
}

// maxNode is the greatest index of a node.
const maxNode = 1<<13 - 1

// slotOf is a node's index with a part of its hash that place does not use, so that
// those of others are hardly ever looked at.
func slotOf(hash uint64, at uint32) uint32 { return uint32(hash>>32)&^maxNode | at }

func (s *sketch) reindex() {
	clear(s.index)
	for at := range s.nodes {
		if s.nodes[at].used {
			s.place(uint32(at))
		}
	}
}

// allow lets the allowance follow the whole.
func (s *sketch) allow() {
	s.stale = 1024
	share := float64(s.factor) / float64(s.cellCount)
	s.allowance = Count{portion(s.total.Keys, share), portion(s.total.Bytes, share)}
}

func portion(n int64, share float64) int64 { return int64(min(float64(n)*share, 1<<62)) }

func (s *sketch) cell(hash uint64) *Count { return &s.cells[hash>>32&uint64(s.cellCount-1)] }

// compress makes room for a quarter of the nodes.
func (s *sketch) compress() {
	if s.cells == nil {
		s.cells = make([]Count, s.cellCount)
	}
	clear(s.short[:])
	for s.allow(); ; s.factor, s.stale = s.factor*2, 0 {
		s.allow()
		for at := range s.nodes {
			s.prune(uint32(at))
		}
		if len(s.nodes)-len(s.free) <= s.room*3/4 {
			break
		}
	}
	s.reindex()
}

// prune removes a leaf if it is light, then its parent if that is one now, and so on.
func (s *sketch) prune(at uint32) {
	for {
		n := &s.nodes[at]
		if !n.used || n.children > 0 || n.parent == 0 && s.nodes[0].children <= s.top {
			return
		}
		cell := s.cell(n.hash)
		sum := cell.plus(n.own)
		if !sum.within(s.allowance) {
			return
		}
		*cell = sum
		s.topLost = s.topLost || n.parent == 0
		s.nodes[n.parent].own.add(n.own)
		s.nodes[n.parent].children--
		n.used = false
		s.free = append(s.free, at)
		at = n.parent
	}
}

// merge takes what o has counted. o must not be used any more.
func (s *sketch) merge(o *sketch) {
	s.total.add(o.total)
	s.factor = max(s.factor, o.factor)
	s.topLost = s.topLost || o.topLost
	if o.cells != nil {
		if s.cells == nil {
			s.cells = make([]Count, s.cellCount)
		}
		for i, c := range o.cells {
			s.cells[i].add(c)
		}
	}
	if s.cells != nil {
		s.allow()
	}
	var key []byte
	for at := range o.nodes {
		n := &o.nodes[at]
		if (at == 0 || n.used) && n.own != (Count{}) {
			var c cuts
			key, c = o.path(key[:0], uint32(at))
			s.count(key, &c, n.own, false)
		}
	}
}

// path is the whole prefix of a node, with the prefixes of it.
func (s *sketch) path(key []byte, at uint32) ([]byte, cuts) {
	var chain [maxDepth]uint32
	n := 0
	for ; at != 0; at = s.nodes[at].parent {
		chain[n] = at
		n++
	}
	c := cuts{n: n}
	for i := range n {
		key = append(key, s.nodes[chain[n-1-i]].text...)
		c.ends[i] = uint8(len(key))
	}
	return key, c
}

// held is a prefix with its weight, and by how much that may be too small.
type held struct {
	prefix []byte
	depth  int
	weight Count
	lacks  Count
}

// all are the prefixes held, without the root, and the most that any other can weigh.
func (s *sketch) all() (list []held, missing Count) {
	sums := make([]Count, len(s.nodes))
	for at := range s.nodes {
		own := s.nodes[at].own
		for up := uint32(at); up != 0 && s.nodes[at].used; up = s.nodes[up].parent {
			sums[up].add(own)
		}
	}
	for _, c := range s.cells {
		missing = missing.max(c)
	}
	missing = Count{min(missing.Keys*maxDepth, s.total.Keys), min(missing.Bytes*maxDepth, s.total.Bytes)}
	for at := 1; at < len(s.nodes); at++ {
		if !s.nodes[at].used {
			continue
		}
		prefix, c := s.path(nil, uint32(at))
		h := held{prefix: prefix, depth: c.n, weight: sums[at]}
		for up := uint32(at); up != 0 && s.cells != nil; up = s.nodes[up].parent {
			if s.nodes[up].parent != 0 || s.topLost {
				h.lacks.add(*s.cell(s.nodes[up].hash))
			}
		}
		h.lacks = Count{min(h.lacks.Keys, s.total.Keys-h.weight.Keys), min(h.lacks.Bytes, s.total.Bytes-h.weight.Bytes)}
		list = append(list, h)
	}
	return list, missing
}
