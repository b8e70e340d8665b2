package engine

import (
	"slices"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/resource"
)

// A primary that died comes back as a replica of its replica, with all that the cluster knows and none of its slots.
func TestRejoinConf(t *testing.T) {
	t.Parallel()
	me, heir, other, third := ClusterID("me"), ClusterID("heir"), ClusterID("other"), ClusterID("third")
	members := []Member{
		{ID: me, Address: "127.0.0.1", Port: 1, BusPort: 11, Failed: true, PrimaryID: heir},
		{ID: heir, Address: "127.0.0.2", Port: 2, BusPort: 12, Myself: true, Primary: true, Epoch: 9, Slots: []resource.SlotRange{{Start: 0, End: 99}, {Start: 200, End: 200}}},
		{ID: third, Address: "127.0.0.3", Port: 3, BusPort: 13, PrimaryID: me},
		{ID: other, Address: "127.0.0.4", Port: 4, BusPort: 14, Primary: true, Epoch: 2, Slots: []resource.SlotRange{{Start: 100, End: 199}}},
		{ID: "unknown", Address: "127.0.0.5", Primary: true, Handshake: true},
	}
	shardOf := func(id string) string { return map[string]string{heir: "0001", other: "0002"}[id] }
	for _, e := range []struct {
		engine  resource.Engine
		version Version
		tls     bool
	}{{Valkey, Version{8, 0, 1}, false}, {Valkey, Version{8, 0, 1}, true}, {Redis, Version{7, 0, 15}, true}} {
		text, err := RejoinConf(e.version, e.engine, ClusterNode{ID: "me", Address: "127.0.0.1", Port: 1, BusPort: 11, Slots: resource.AllSlots, Primary: true}, heir, members, shardOf, e.tls)
		if err != nil {
			t.Fatal(err)
		}
		self, err := ParseSelf(text)
		if err != nil || self.ID != me || self.Primary || self.PrimaryID != heir || len(self.Slots) > 0 {
			t.Errorf("it begins as %+v, %v", self, err)
		}
		if !strings.HasSuffix(text, "vars currentEpoch 9 lastVoteEpoch 0\n") {
			t.Error(text)
		}
		seen, err := ParseMembers(text[:strings.Index(text, "vars")])
		if err != nil || len(seen) != 4 {
			t.Fatal(seen, err)
		}
		for _, m := range seen {
			switch m.ID {
			case heir:
				if !m.Primary || m.Epoch != 9 || !slices.Equal(m.Slots, members[1].Slots) {
					t.Errorf("the heir is %+v", m)
				}
			case third:
				if m.Primary || m.PrimaryID != heir {
					t.Errorf("a replica of the dead primary is %+v", m)
				}
			case other:
				if !m.Primary || m.Epoch != 2 || !slices.Equal(m.Slots, members[3].Slots) {
					t.Errorf("the other primary is %+v", m)
				}
			}
		}
	}
	for _, primary := range []string{third, me, "nobody"} {
		if _, err := RejoinConf(Version{8, 0, 1}, Valkey, ClusterNode{ID: "me"}, primary, members, shardOf, false); err == nil {
			t.Errorf("%s is taken for a primary", primary)
		}
	}
}

func FuzzParseSelf(f *testing.F) {
	f.Add("a 127.0.0.1:1@2 myself,slave b 0 0 1 connected\nvars currentEpoch 9 lastVoteEpoch 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := ParseSelf(text); err == nil && !m.Myself {
			t.Errorf("%+v", m)
		}
	})
}
