package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// Member is a node of a cluster as another node of it, or itself, sees it.
type Member struct {
	ID      string // forty hexadecimal digits: ClusterID of ours
	Address string // empty when it is not known
	Port    int    // for clients
	BusPort int

	Myself    bool // the node that was asked
	Primary   bool
	Failed    bool // the cluster agrees that it failed
	Suspected bool // the node that was asked cannot reach it
	Handshake bool // not yet accepted: its ID is not its own
	PrimaryID string
	Epoch     int64
	Linked    bool
	Slots     []resource.SlotRange

	// Open slots, of Myself only: to or from which member each is moving.
	Migrating, Importing map[int]string
}

// Owns tells whether a slot is the member's.
func (m *Member) Owns(slot int) bool {
	return slices.ContainsFunc(m.Slots, func(r resource.SlotRange) bool { return r.Start <= slot && slot <= r.End })
}

// ParseMembers reads the answer to CLUSTER NODES.
func ParseMembers(text string) ([]Member, error) {
	var all []Member
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		m, err := parseMember(f)
		if err != nil {
			return nil, fmt.Errorf("line %.120q of CLUSTER NODES: %w", line, err)
		}
		all = append(all, m)
	}
	return all, nil
}

func parseMember(f []string) (m Member, err error) {
	if len(f) < 8 {
		return m, fmt.Errorf("it has %d fields", len(f))
	}
	m.ID = f[0]
	where, _, _ := strings.Cut(f[1], ",") // host name and more
	where, bus, _ := strings.Cut(where, "@")
	if i := strings.LastIndexByte(where, ':'); i >= 0 {
		m.Address = strings.Trim(where[:i], "[]")
		if m.Port, err = strconv.Atoi(where[i+1:]); err != nil {
			return m, fmt.Errorf("port %.20q", where[i+1:])
		}
	}
	if bus != "" {
		if m.BusPort, err = strconv.Atoi(bus); err != nil {
			return m, fmt.Errorf("bus port %.20q", bus)
		}
	}
	for flag := range strings.SplitSeq(f[2], ",") {
		switch flag {
		case "myself":
			m.Myself = true
		case "master", "primary":
			m.Primary = true
		case "fail":
			m.Failed = true
		case "fail?":
			m.Suspected = true
		case "handshake":
			m.Handshake = true
		}
	}
	if f[3] != "-" {
		m.PrimaryID = f[3]
	}
	if m.Epoch, err = strconv.ParseInt(f[6], 10, 64); err != nil {
		return m, fmt.Errorf("epoch %.20q", f[6])
	}
	m.Linked = f[7] == "connected"
	for _, s := range f[8:] {
		if err := m.addSlots(s); err != nil {
			return m, err
		}
	}
	return m, nil
}

// addSlots reads "5", "0-5460", "[93->-ID]" or "[77-<-ID]".
func (m *Member) addSlots(s string) error {
	bad := fmt.Errorf("slots %.60q", s)
	slot := func(t string) (int, error) {
		n, err := strconv.Atoi(t)
		if err != nil || n < 0 || n > 16383 {
			return 0, bad
		}
		return n, nil
	}
	if inner, open := strings.CutPrefix(s, "["); open {
		inner, closed := strings.CutSuffix(inner, "]")
		to, target, out := strings.Cut(inner, "->-")
		from, source, in := strings.Cut(inner, "-<-")
		if !closed || out == in {
			return bad
		}
		moves, text, other := &m.Migrating, to, target
		if in {
			moves, text, other = &m.Importing, from, source
		}
		n, err := slot(text)
		if err != nil {
			return err
		}
		if *moves == nil {
			*moves = make(map[int]string)
		}
		(*moves)[n] = other
		return nil
	}
	first, last, found := strings.Cut(s, "-")
	if !found {
		last = first
	}
	start, err := slot(first)
	if err != nil {
		return err
	}
	end, err := slot(last)
	if err != nil || end < start {
		return bad
	}
	m.Slots = append(m.Slots, resource.SlotRange{Start: start, End: end})
	return nil
}

// JoinConf is the cluster state file of a node that knows nobody yet and serves no slot. It meets the others once it runs.
func JoinConf(v Version, e resource.Engine, self ClusterNode, tls bool) string {
	self.Primary, self.Slots = true, nil
	return nodeLine(v, e, ClusterID(self.ID), self, "myself,master", "-", 0, "", tls) + "vars currentEpoch 0 lastVoteEpoch 0\n"
}
