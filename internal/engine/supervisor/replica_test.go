package supervisor_test

import (
	"syscall"
	"testing"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
)

// Roles are changed while nodes run, and last: the next start finds them.
func TestRolesLast(t *testing.T) {
	t.Parallel()
	first := kftest.Engine(t, engine.Valkey)
	second := kftest.Engine(t, engine.Valkey, kftest.ReplicaOf(first), kftest.Under(first.Sup))
	second.WaitLink(t)
	sup := first.Sup
	if err := sup.SetReplicaOf(t.Context(), second.ID, resource.Endpoint{}); err != nil {
		t.Fatal(err)
	}
	if err := sup.SetReplicaOf(t.Context(), first.ID, second.Endpoint()); err != nil {
		t.Fatal(err)
	}
	first.WaitLink(t)
	second.Do(t, "SET", "a", "1")

	// One that hears nothing can be ended all the same.
	if err := syscall.Kill(sup.PID(first.ID), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := sup.Kill(t.Context(), first.ID); err != nil || sup.Running(first.ID) {
			t.Fatal("it runs", err)
		}
	}
	if err := sup.Start(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	kftest.Guard(t, sup.PID(first.ID))
	if err := sup.WaitReady(kftest.Context(t), first.ID, nil); err != nil {
		t.Fatal(err)
	}
	// Ready says that it is in step.
	if v := first.Do(t, "GET", "a"); v.Str != "1" {
		t.Errorf("it has %q", v.Str)
	}
}

// A node keeps its view of the cluster while it runs; afterwards it can be given another.
func TestViewOfTheCluster(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Valkey, kftest.InCluster())
	members := []engine.Member{{ID: engine.ClusterID("heir"), Address: "127.0.0.1", Port: 1, BusPort: 2, Primary: true, Slots: resource.AllSlots}}
	rejoin := func() error {
		return n.Sup.RejoinCluster(n.ID, engine.ClusterID("heir"), members, func(string) string { return "0001" })
	}
	if rejoin() == nil || n.Sup.ResetCluster(n.ID, nil) == nil {
		t.Error("the view of a node that runs was changed")
	}
	if m, err := n.Sup.LastRole(n.ID); err != nil || !m.Primary || len(m.Slots) != 1 {
		t.Errorf("it was %+v, %v", m, err)
	}
	if err := n.Sup.Kill(t.Context(), n.ID); err != nil {
		t.Fatal(err)
	}
	if err := rejoin(); err != nil {
		t.Fatal(err)
	}
	if m, err := n.Sup.LastRole(n.ID); err != nil || m.Primary || m.PrimaryID != engine.ClusterID("heir") {
		t.Errorf("it begins as %+v, %v", m, err)
	}
}
