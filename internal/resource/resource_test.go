package resource

import (
	"errors"
	"fmt"
	"testing"
)

func TestSnapshotSpaces(t *testing.T) {
	t.Parallel()
	for kind, want := range map[Kind][2]string{
		Serverless: {"elasticache", "serverless"}, CacheCluster: {"elasticache", "elasticache"}, ReplicationGroup: {"elasticache", "elasticache"}, MemoryDBCluster: {"memorydb", "memorydb"},
	} {
		if got := [2]string{kind.Service(), kind.SnapshotSpace()}; got != want {
			t.Errorf("%s: %q", kind, got)
		}
	}
	if got := ExportKey("orders-1", 12); got != "orders-1-0012.rdb" {
		t.Errorf("the twelfth shard is exported to %s", got)
	}
	for want, s := range map[string]Snapshot{
		"orders-1-0002.rdb": {Name: "orders-1", Source: Cache{Engine: Valkey}}, "sessions-1-0002.items": {Name: "sessions-1", Source: Cache{Engine: Memcached}},
	} {
		if got := s.ExportKey("", 2); got != want {
			t.Errorf("%s is exported to %s", s.Name, got)
		}
	}
	if got := (&Snapshot{Name: "a"}).ExportKey("b", 1); got != "b-0001.rdb" {
		t.Errorf("with a prefix it is exported to %s", got)
	}
}

func TestLimitsEqual(t *testing.T) {
	t.Parallel()
	n := func(v int64) *int64 { return &v }
	all := []Limits{{}, {MinGB: n(1)}, {MaxGB: n(1)}, {MaxGB: n(2)}, {MinECPU: n(1)}, {MaxECPU: n(1)}, {MinGB: n(1), MaxGB: n(1), MinECPU: n(1), MaxECPU: n(1)}}
	again := []Limits{{}, {MinGB: n(1)}, {MaxGB: n(1)}, {MaxGB: n(2)}, {MinECPU: n(1)}, {MaxECPU: n(1)}, {MinGB: n(1), MaxGB: n(1), MinECPU: n(1), MaxECPU: n(1)}}
	for i, a := range all {
		for j, b := range again {
			if a.Equal(b) != (i == j) {
				t.Errorf("limits %d and %d", i, j)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, k := range ErrorKinds() {
		if k.String() == "" || names[k.String()] {
			t.Errorf("kind %d is called %q", k, k)
		}
		names[k.String()] = true
	}
	err := fmt.Errorf("outer: %w", Errorf(NotFound, TypeCache, "orders", "Cache %s is gone", "orders"))
	var e *Error
	if !errors.As(err, &e) || e.Kind != NotFound || e.Type != TypeCache || e.ID != "orders" || e.Error() != "Cache orders is gone" {
		t.Errorf("%+v", e)
	}
	if got := (&Error{Kind: NotFound, Type: TypeCache, ID: "orders"}).Error(); got != "cache orders: NotFound" {
		t.Errorf("without a message it says %q", got)
	}
}
