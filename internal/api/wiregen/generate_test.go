package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/api/facts"
)

// The committed packages are what the facts say, file by file.
func TestCommittedFilesAreCurrent(t *testing.T) {
	t.Parallel()
	for service, pkg := range packages {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join("..", pkg.name)
			want, err := generate(service)
			if err != nil {
				t.Fatal(err)
			}
			have, err := filepath.Glob(filepath.Join(dir, "*_gen.go"))
			if err != nil {
				t.Fatal(err)
			}
			if len(have) != len(want) {
				t.Errorf("%s has %d generated files, want %d", dir, len(have), len(want))
			}
			for name, content := range want {
				committed, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Error(err)
				} else if !bytes.Equal(committed, content) {
					t.Errorf("%s/%s is not what the facts give: run go generate ./internal/api/...", pkg.name, name)
				}
			}
		})
	}
}

func TestGenerationIsDeterministic(t *testing.T) {
	t.Parallel()
	first, err := generate("memorydb")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := generate("memorydb")
		if err != nil {
			t.Fatal(err)
		}
		for name := range first {
			if !bytes.Equal(first[name], again[name]) {
				t.Fatalf("%s differs from run to run", name)
			}
		}
	}
}

// Facts, not prose: the generator refuses the documentation that an unstripped model carries, wherever it stands.
func TestProseIsRefused(t *testing.T) {
	t.Parallel()
	source, err := facts.Files.ReadFile("memorydb-2021-01-01.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := strict(source, &model{}); err != nil {
		t.Fatalf("the committed model: %v", err)
	}
	for _, where := range []string{`"name": "CopySnapshot",`, `"type": "structure",`, `"shape": "TagList"`, `"protocol": "json",`} {
		at := strings.Index(string(source), where)
		if at < 0 {
			t.Fatalf("no %s in the model", where)
		}
		broken := slices.Concat(source[:at], []byte(`"documentation": "<p>Prose.</p>", `), source[at:])
		if err := strict(broken, &model{}); err == nil || !strings.Contains(err.Error(), "documentation") {
			t.Errorf("documentation before %s: error %v", where, err)
		}
	}
}

func TestStaleOverlayIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"operation known":      `{"operations": {"CopySnapshot": {"name": "CopySnapshot"}}}`,
		"shape known":          `{"shapes": {"Tag": {"type": "structure"}}}`,
		"member known":         `{"members": {"Tag": {"Key": {"shape": "String"}}}}`,
		"member of nothing":    `{"members": {"NoSuch": {"Key": {"shape": "String"}}}}`,
		"error known":          `{"errors": {"CopySnapshot": ["SnapshotNotFoundFault"]}}`,
		"required already":     `{"required": ["CopySnapshotRequest.TargetSnapshotName"]}`,
		"limits on nothing":    `{"limits": {"*.NoSuchMember": {"min": 1}}}`,
		"secret twice":         `{"secret": ["*.Passwords", "*.Passwords"]}`,
		"optional was not req": `{"optional": ["CopySnapshotRequest.KmsKeyId"]}`,
	} {
		m := &model{}
		data, err := facts.Files.ReadFile("memorydb-2021-01-01.json")
		if err == nil {
			err = strict(data, m)
		}
		var o overlay
		if err == nil {
			err = strict([]byte(text), &o)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := o.apply(m); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
