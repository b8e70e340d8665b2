package internal

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/keyframe/keyframe/"

// floors is the house from the ground up (ARCHITECTURE.md). A package imports only packages of lower floors; within floor 2,
// state and devices, the order is that of the half floors. A package that is missing here is found by the test.
var floors = map[string]float64{
	// 0: formats, standard library only
	"rdb": 0.1, "rdb/keyspace": 0.2, "rdb/crc64": 0, "rdb/lzf": 0, "rdb/packed": 0,
	"internal/api/wire": 0, "internal/api/ecapi": 0.1, "internal/api/mdbapi": 0.1, "internal/api/coverage": 0.2,
	"internal/auth/sigv4": 0, "internal/auth/policy": 0,
	"internal/engine/resp": 0, "internal/glob": 0, "internal/failpoint": 0, "internal/blob/checksum": 0,
	"internal/engine/memcache": 0, "internal/itemfile": 0.1,
	// 1: vocabulary
	"internal/resource": 1, "internal/engine": 1.1,
	// 2: state and devices
	"internal/metastore": 2, "internal/blob": 2,
	"internal/blob/disk": 2.1, "internal/blob/s3": 2.1, "internal/blob/retry": 2.1, "internal/blob/fault": 2.1, "internal/blob/buckets": 2.1,
	"internal/blob/blobtest": 2.1, "internal/blob/target": 2.2,
	"internal/job": 2.3, "internal/kms": 2.3,
	"internal/auth/iam": 2.4, "internal/snapstore": 2.4, "internal/engine/supervisor": 2.4, "internal/capture": 2.4,
	"internal/dataset": 2.4, "internal/keydiff": 2.4, "internal/keyrestore": 2.5,
	// 3: the control plane and the work; neither imports the other
	"internal/control": 3, "internal/worker": 3,
	// 4: faces, which plug into the gateway
	"internal/api/s3": 4,
	// 5: the door
	"internal/api/gateway":     4.5,
	"internal/api/elasticache": 5, "internal/api/memorydb": 5, "internal/api/sts": 5,
	// 6: the program
	"internal/config": 1.5, "internal/api/client": 5.5, "internal/app": 6, "internal/bench": 6.1, "internal/cli": 6.2,
	// 7
	"cmd/keyframe": 7, "cmd/keyframe-bench": 7,
	// Tools of generation and of tests, which nothing of the product imports.
	"internal/api/facts": 8, "internal/api/wiregen": 9, "internal/api/coveragegen": 9, "internal/kftest": 9, "internal/api/wire/wiretest": 9,
}

// generated shapes stay above the control plane.
var noShapesBelow = 3.0

func TestFloors(t *testing.T) {
	t.Parallel()
	seen := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != ".." || d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "e2e") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		seen++
		check(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Fatalf("only %d files were looked at: the test looks in the wrong place", seen)
	}
}

func check(t *testing.T, path string) {
	rel, _ := filepath.Rel("..", path)
	pkg := filepath.ToSlash(filepath.Dir(rel))
	floor, ok := floors[pkg]
	if !ok {
		if pkg == "internal" || strings.HasPrefix(pkg, "docs") {
			return
		}
		t.Errorf("%s: package %s has no floor: give it one in floors_test.go and ARCHITECTURE.md", rel, pkg)
		return
	}
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range f.Imports {
		imp, _ := strconv.Unquote(spec.Path.Value)
		own, ours := strings.CutPrefix(imp, module)
		switch {
		case !ours && floor < 1 && strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
			t.Errorf("%s imports %s: floor 0 uses only the standard library", rel, imp)
		case !ours:
		case floors[own] >= floor:
			t.Errorf("%s (floor %v) imports %s (floor %v): imports go down only", rel, floor, own, floors[own])
		case floor <= noShapesBelow && floor >= 1 && (own == "internal/api/ecapi" || own == "internal/api/mdbapi"):
			t.Errorf("%s imports %s: generated shapes stay above floor 3", rel, own)
		}
	}
	if n := strings.Count(string(src), "\n"); n > 800 && !strings.HasSuffix(path, "_gen.go") {
		t.Errorf("%s has %d lines; 800 is the most", rel, n)
	}
}
