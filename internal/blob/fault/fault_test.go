package fault_test

import (
	"errors"
	"testing"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/blob/blobtest"
	"github.com/keyframe/keyframe/internal/blob/disk"
	"github.com/keyframe/keyframe/internal/blob/fault"
)

func base(t *testing.T) blob.Bucket {
	t.Helper()
	b, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestSuiteWithoutFaults(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Bucket { return fault.New(base(t), nil) })
}

func TestNth(t *testing.T) {
	t.Parallel()
	under := base(t)
	b := fault.New(under, nil)
	for n := 1; n <= 3; n++ { // create, write, commit
		b.Set(fault.Nth(n))
		if err := blob.Put(t.Context(), b, "k", []byte("data"), blob.CreateOptions{}); !errors.Is(err, fault.ErrInjected) {
			t.Fatalf("call %d: %v", n, err)
		}
		if _, err := under.Stat(t.Context(), "k"); !errors.Is(err, blob.ErrNotFound) {
			t.Fatalf("call %d: %v", n, err)
		}
	}
	b.LoseAnswers().Set(fault.Nth(3))
	if err := blob.Put(t.Context(), b, "k", []byte("data"), blob.CreateOptions{}); !errors.Is(err, fault.ErrInjected) {
		t.Fatal(err)
	}
	if _, err := under.Stat(t.Context(), "k"); err != nil {
		t.Fatalf("the act was lost with its answer: %v", err)
	}
}
