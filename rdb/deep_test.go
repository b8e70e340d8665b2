package rdb

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// scanDeep verifies a file, with a window of some size.
func scanDeep(file []byte, window int) (*Summary, error) {
	return newScanner(bytes.NewReader(file), Options{Deep: true}, window).Scan()
}

// What engines wrote is sound, whatever the window.
func TestDeepAcceptsEngines(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.rdb")
	if err != nil || len(files) == 0 {
		t.Fatal("no dumps in testdata")
	}
	for _, name := range files {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, window := range []int{128, 1000, windowSize} {
			sum, err := scanDeep(file, window)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if sum.Bytes != int64(len(file)) || sum.Checksum != ChecksumVerified {
				t.Errorf("%s: %+v", name, sum)
			}
		}
	}
}
