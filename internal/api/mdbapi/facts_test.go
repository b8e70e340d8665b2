package mdbapi_test

import (
	"testing"

	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
)

func TestFacts(t *testing.T) {
	t.Parallel()
	if n := len(mdbapi.Service.Operations); n != 45 {
		t.Errorf("%d operations", n)
	}
	for _, f := range mdbapi.Service.Faults { // the model states no statuses
		if f.Status != 400 || !f.Sender || f.Code != f.Shape {
			t.Errorf("%+v", *f)
		}
	}
	for body, want := range map[string]string{
		`{"SourceSnapshotName":"a","TargetSnapshotName":"b","TargetBucket":""}`:    "",
		`{"SourceSnapshotName":"a","TargetSnapshotName":"b","TargetBucket":"x/y"}`: "The parameter TargetBucket must match the pattern ^[A-Za-z0-9._-]+$.",
		`{"SourceSnapshotName":"a"}`: "The parameter TargetSnapshotName must be provided and must not be blank.",
	} {
		_, _, err := wire.Decode(mdbapi.OpCopySnapshot.Operation, nil, []byte(body))
		if err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}
