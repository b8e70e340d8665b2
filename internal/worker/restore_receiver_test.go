package worker

import (
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// Whether an engine is given data depends on what is in it, not on the family or version that wrote it.
func TestSuits(t *testing.T) {
	t.Parallel()
	const hashOfValkey, hashOfRedis, setListpack = 22, 24, 20
	for _, x := range []struct {
		engine  resource.Engine
		version string
		family  string
		wrote   int
		typ     int
		reason  string
	}{
		{engine.Redis, "7.4", rdb.FamilyValkey, 80, hashOfValkey, ""},
		{engine.Redis, "7.2", rdb.FamilyValkey, 80, hashOfValkey, "needs version 12 or later"},
		{engine.Valkey, "9.0", rdb.FamilyRedis, 12, hashOfRedis, ""},
		{engine.Valkey, "9.0", rdb.FamilyValkey, 80, hashOfValkey, ""},
		{engine.Valkey, "8.1", rdb.FamilyRedis, 12, hashOfRedis, "unsupported RDB version 12"},
		{engine.Valkey, "8.1", rdb.FamilyValkey, 80, hashOfValkey, "unsupported RDB version 80"},
		{engine.Redis, "6.2", rdb.FamilyValkey, 80, setListpack, ""},
	} {
		v, err := engine.ParseVersion(x.version)
		if err != nil {
			t.Fatal(err)
		}
		to := &receiver{cache: &resource.Cache{}, databases: 16, binary: engine.Choice{}}
		to.binary.Engine, to.binary.Binary.Version, to.binary.FullVersion = x.engine, v, x.version
		sum := &rdb.Summary{Family: x.family, Version: x.wrote}
		sum.Types[x.typ] = 1
		if err := to.suits(sum); (err == nil) != (x.reason == "") || err != nil && !strings.Contains(err.Error(), x.reason) {
			t.Errorf("%+v: %v", x, err)
		}
	}
}
