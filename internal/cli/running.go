package cli

import (
	"encoding/json"
	"fmt"

	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
)

// running tells how far the jobs are that run now, by the ID of the resource that they work on.
func running(tx *metastore.Tx) (map[string]string, error) {
	jobs, err := job.List(tx, job.Filter{State: job.StateRunning})
	if err != nil {
		return nil, err
	}
	far := map[string]string{}
	for _, j := range jobs {
		if text := progressText(j.Progress); text != "" {
			far[j.Subject] = text
		}
	}
	return far, nil
}

// progressText is what a job said last, for people: bytes moved, of how many if that is known, or what it waits for.
func progressText(raw json.RawMessage) string {
	var p struct {
		Bytes, Of     int64  // of what moves bytes
		Phase         string // of an engine that starts
		Loaded, Total int64
	}
	if len(raw) == 0 || json.Unmarshal(raw, &p) != nil {
		return ""
	}
	switch {
	case p.Of > 0:
		return fmt.Sprintf("%d%%", 100*min(p.Bytes, p.Of)/p.Of)
	case p.Bytes > 0:
		return bytes(p.Bytes)
	case p.Total > 0:
		return fmt.Sprintf("%s %d%%", p.Phase, 100*min(p.Loaded, p.Total)/p.Total)
	}
	return p.Phase
}

// withProgress is a status, and how far the work is that it speaks of.
func withProgress(status, progress string) string {
	if progress == "" {
		return status
	}
	return status + " (" + progress + ")"
}
