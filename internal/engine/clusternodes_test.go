package engine

import (
	"reflect"
	"testing"

	"github.com/keyframe/keyframe/internal/resource"
)

const clusterNodes = `07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004,hostname4 slave e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected
67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:30002@31002,,tls-port=0,shard-id=aa master,fail? - 0 1426238316232 2 disconnected 5461-10922
6ec23923021cf3ffec47632106199cb7f496ce01 :0@0 master,noaddr,handshake - 0 0 0 connected
e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca [::1]:30001@31001 myself,master - 0 0 17 connected 0-5460 16383 [93->-67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1] [77-<-67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1]
`

func TestParseMembers(t *testing.T) {
	t.Parallel()
	got, err := ParseMembers(clusterNodes)
	if err != nil {
		t.Fatal(err)
	}
	const me, second = "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca", "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1"
	want := []Member{
		{ID: "07c37dfeb235213a872192d90877d0cd55635b91", Address: "127.0.0.1", Port: 30004, BusPort: 31004, PrimaryID: me, Epoch: 4, Linked: true},
		{ID: second, Address: "127.0.0.1", Port: 30002, BusPort: 31002, Primary: true, Suspected: true, Epoch: 2, Slots: []resource.SlotRange{{Start: 5461, End: 10922}}},
		{ID: "6ec23923021cf3ffec47632106199cb7f496ce01", Primary: true, Handshake: true, Linked: true},
		{ID: me, Address: "::1", Port: 30001, BusPort: 31001, Myself: true, Primary: true, Epoch: 17, Linked: true,
			Slots: []resource.SlotRange{{Start: 0, End: 5460}, {Start: 16383, End: 16383}}, Migrating: map[int]string{93: second}, Importing: map[int]string{77: second}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if m := got[3]; !m.Owns(5460) || !m.Owns(16383) || m.Owns(5461) {
		t.Error("it does not know its slots")
	}
	for _, bad := range []string{"x", "a b:c master - 0 0 0 connected", "a :1@2 master - 0 0 0 connected 16384", "a :1@2 master - 0 0 0 connected 5-4", "a :1@2 master - 0 0 0 connected [5]"} {
		if m, err := ParseMembers(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, m)
		}
	}
}

func FuzzParseMembers(f *testing.F) {
	f.Add(clusterNodes)
	f.Add("a [::1]:1@2 myself - 0 0 1 connected [1->-b] [2-<-c] 3")
	f.Fuzz(func(t *testing.T, text string) {
		all, _ := ParseMembers(text)
		for _, m := range all {
			for _, r := range m.Slots {
				if r.Start < 0 || r.End > 16383 || r.Start > r.End {
					t.Errorf("%+v", m)
				}
			}
		}
	})
}
