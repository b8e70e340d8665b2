package supervisor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
)

// saved makes a data file of an engine: plain keys, keys that live long and keys that are over by the time of the load.
func saved(t *testing.T, e resource.Engine, plain, lasting, over int) string {
	t.Helper()
	ctx := kftest.Context(t)
	n := kftest.Engine(t, e)
	var cmds [][]string
	value := strings.Repeat("v", 1000)
	for i := range plain {
		cmds = append(cmds, []string{"SET", fmt.Sprintf("plain%d", i), value})
	}
	for i := range lasting {
		cmds = append(cmds, []string{"SET", fmt.Sprintf("lasting%d", i), value, "EX", "100000"})
	}
	// Expired keys stay in a node that does not look for them, and are saved like others.
	cmds = append(cmds, []string{"DEBUG", "SET-ACTIVE-EXPIRE", "0"})
	for i := range over {
		cmds = append(cmds, []string{"SET", fmt.Sprintf("over%d", i), value, "PX", "1"})
	}
	cmds = append(cmds, []string{"SAVE"})
	replies, err := n.Admin(t).Pipeline(ctx, cmds...)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range replies {
		if v.Str != "OK" {
			t.Fatalf("%.60q: %+v", cmds[i], v)
		}
	}
	path := filepath.Join(t.TempDir(), "data.rdb")
	if err := os.Rename(filepath.Join(n.Dir, engine.DataFile), path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDataIsLoadedOnceAndWithoutLimit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		ctx := kftest.Context(t)
		file := saved(t, e, 2000, 1000, 500)
		s := kftest.Supervisor(t, supervisor.Options{})
		sp := spec(t, "n", e)
		sp.Cluster, sp.Shard, sp.Slots, sp.MaxMemory = true, "0001", resource.AllSlots, 1<<20 // far too little
		if _, err := s.Create(ctx, sp); err != nil {
			t.Fatal(err)
		}
		if err := s.SetData(ctx, "n", file); err != nil {
			t.Fatal(err)
		}
		run(t, s, sp)
		load, err := s.Loaded(ctx, "n")
		if err != nil || load != (supervisor.Load{Keys: 3000, Expired: 500}) {
			t.Fatalf("%+v, %v", load, err)
		}
		c, err := s.Admin(ctx, "n")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		size := func() int64 {
			v, err := c.Do(ctx, "DBSIZE")
			if err != nil {
				t.Fatal(err)
			}
			return v.Int
		}
		if got := size(); got != 3000 {
			t.Errorf("%d keys before the limit", got)
		}
		if used, err := s.UsedMemory(ctx, "n"); err != nil || used < 3000*1000 {
			t.Errorf("%d bytes, %v", used, err)
		}
		if err := s.SetMaxMemory(ctx, "n", 64<<20); err != nil {
			t.Fatal(err)
		}
		if v, err := c.Do(ctx, "CONFIG", "GET", "maxmemory"); err != nil || v.Elems[1].Str != "67108864" {
			t.Errorf("%+v, %v", v, err)
		}
		if err := s.SetData(ctx, "n", file); err == nil {
			t.Error("data is handed to a node that runs")
		}
		for range 2 {
			if err := s.RemoveData(ctx, "n"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Stop(ctx, "n"); err != nil {
			t.Fatal(err)
		}
		run(t, s, sp)
		c2, err := s.Admin(ctx, "n")
		if err != nil {
			t.Fatal(err)
		}
		defer c2.Close()
		if v, err := c2.Do(ctx, "DBSIZE"); err != nil || v.Int != 0 {
			t.Errorf("old data came back: %+v, %v", v, err)
		}
		if v, err := c2.Do(ctx, "CONFIG", "GET", "maxmemory"); err != nil || v.Elems[1].Str != "67108864" {
			t.Errorf("the limit is gone: %+v, %v", v, err)
		}
	})
}

func TestMemcachedLimit(t *testing.T) {
	t.Parallel()
	ctx := kftest.Context(t)
	n := kftest.Engine(t, engine.Memcached, kftest.MaxMemory(100<<20))
	if err := n.Sup.SetMaxMemory(ctx, n.ID, 200<<20); err != nil {
		t.Fatal(err)
	}
	if used, err := n.Sup.UsedMemory(ctx, n.ID); err != nil || used != 0 {
		t.Errorf("%d, %v", used, err)
	}
	if _, err := n.Sup.Admin(ctx, n.ID); err == nil {
		t.Error("memcached has an admin connection")
	}
}

func TestMemcachedTLS(t *testing.T) {
	t.Parallel()
	kftest.Engine(t, engine.Memcached, kftest.WithTLS())
}
