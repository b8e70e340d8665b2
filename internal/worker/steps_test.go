package worker

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Steps is what the crash tests walk: a place that it lacks would never be tried.
func TestStepsNameEveryFailpoint(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"*.go", "../capture/*.go", "../engine/supervisor/*.go"} {
		some, err := filepath.Glob(pattern)
		if err != nil || len(some) == 0 {
			t.Fatal(pattern, some, err)
		}
		files = append(files, some...)
	}
	call := regexp.MustCompile(`failpoint\.Hit\("([^"]*)"\)`)
	var found []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		calls := call.FindAllSubmatch(text, -1)
		if n := strings.Count(string(text), "failpoint.Hit("); n != len(calls) {
			t.Errorf("%s: %d failpoints have names that are not literal", file, n-len(calls))
		}
		for _, m := range calls {
			if slices.Contains(found, string(m[1])) {
				t.Errorf("%s stands in two places", m[1])
			}
			found = append(found, string(m[1]))
		}
	}
	listed := slices.Sorted(slices.Values(Steps))
	slices.Sort(found)
	if !slices.Equal(found, listed) {
		t.Errorf("the code has %q\nand Steps lists %q", found, listed)
	}
}
