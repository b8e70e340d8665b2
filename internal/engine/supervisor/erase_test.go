package supervisor

import (
	"os"
	"path/filepath"
	"testing"
)

// A remove or a create that was killed half-way leaves no address behind.
func TestInterruptedNodesGiveTheirAddressBack(t *testing.T) {
	t.Parallel()
	a, port := small(t), freePort(t)
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	removed, created := filepath.Join(root, "nodes", "removed"), filepath.Join(root, "nodes", "created")
	for _, dir := range []string{removed, created} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := a.acquire(dir, port, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(removed, removed+removedSuffix); err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Dir: root, Addresses: a})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if held := a.namesOf(removed); held != nil {
		t.Errorf("the removed node holds %v", held)
	}
	if a.namesOf(created) == nil {
		t.Error("the address of a node that is being created was taken from it")
	}
	if err := s.Remove(t.Context(), "created"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(a.LeaseDir); err != nil || len(left) > 0 {
		t.Errorf("leases are left: %v, %v", left, err)
	}
	if left, err := os.ReadDir(filepath.Join(root, "nodes")); err != nil || len(left) > 0 {
		t.Errorf("directories are left: %v, %v", left, err)
	}
}
