package internal

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/cli"
	"github.com/keyframe/keyframe/internal/config"
)

// document is a page of the repository, by its path from the root.
type document struct{ path, text string }

func documents(t *testing.T) []document {
	t.Helper()
	paths, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Glob("../*.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []document
	for _, p := range append(top, paths...) {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, document{p, string(text)})
	}
	if len(all) < 8 {
		t.Fatalf("only %d documents: the test looks in the wrong place", len(all))
	}
	return all
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the names under which the headings of a page can be linked to.
func anchors(text string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

// Every link of a document that stays in the repository leads somewhere.
func TestDocumentLinks(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, d := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(d.text, -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			seen++
			text := d.text
			if file != "" {
				raw, err := os.ReadFile(filepath.Join(filepath.Dir(d.path), file))
				if err != nil {
					t.Errorf("%s links to %s: %v", d.path, m[1], err)
					continue
				}
				text = string(raw)
			}
			if anchor != "" && !slices.Contains(anchors(text), anchor) {
				t.Errorf("%s links to %s: there is no such heading", d.path, m[1])
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d links were found", seen)
	}
}

var (
	target  = regexp.MustCompile("(?m)(?:`|\\$ |^    )(?:[A-Z]+=\\S+ )?make ([a-z0-9-]+)")
	command = regexp.MustCompile("(?:bin/|`|\\$ |\\d |^    |… )keyframe ((?:[a-z][a-z-]* ?)+)([^`\n|]*)")
	flags   = regexp.MustCompile(`--[a-z][a-z-]*`)
	plain   = regexp.MustCompile("`(--[a-z][a-z-]*)")
	env     = regexp.MustCompile(`KEYFRAME_[A-Z_]+[A-Z]`)
	source  = regexp.MustCompile("`((?:internal|rdb|cmd|e2e|docs|scripts)/[A-Za-z0-9_./-]*)`")
	foreign = regexp.MustCompile(`--(snapshot|serverless-cache|daily|final|engine|major|cache)[a-z-]*`) // of other programs
)

// Every make target that a document names exists.
func TestDocumentedTargets(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, d := range documents(t) {
		for _, m := range target.FindAllStringSubmatch(d.text, -1) {
			seen++
			if !strings.Contains(string(raw), "\n"+m[1]+":") {
				t.Errorf("%s names make %s: the Makefile has no such target", d.path, m[1])
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d targets were found", seen)
	}
}

// Every command and flag of keyframe that a document shows exists.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	help := map[string]string{}
	of := func(words string) string {
		words = strings.TrimSpace(words)
		if help[words] == "" {
			var out bytes.Buffer
			if code := cli.Main("test", append(strings.Fields(words), "--help"), nil, &out, &out); code != 0 || !strings.Contains(out.String(), "\n  keyframe "+words+" ") {
				return "" // unknown words, or the help of something else
			}
			help[words] = out.String()
		}
		return help[words]
	}
	// known is the help of the longest command that the words begin with; what follows them are arguments.
	known := func(words string) string {
		for w := strings.Fields(words); len(w) > 0; w = w[:len(w)-1] {
			if text := of(strings.Join(w, " ")); text != "" {
				return text
			}
		}
		return ""
	}
	looking := of("snapshot verify")
	for _, verb := range []string{"inspect", "keys", "get", "diff", "restore-keys", "check", "split", "convert"} {
		looking += of("rdb " + verb)
	}
	seen := 0
	for _, d := range documents(t) {
		for line := range strings.SplitSeq(d.text, "\n") {
			for _, m := range command.FindAllStringSubmatch(line, -1) {
				seen++
				text := known(m[1])
				if text == "" {
					t.Errorf("%s shows keyframe %s: there is no such command", d.path, m[1])
					continue
				}
				for _, f := range flags.FindAllString(m[2], -1) {
					if !strings.Contains(text, f+" ") {
						t.Errorf("%s shows keyframe %s%s: there is no such flag", d.path, m[1], f)
					}
				}
			}
			for _, m := range plain.FindAllStringSubmatch(line, -1) {
				if !foreign.MatchString(m[1]) && !strings.Contains(looking+of("serve")+of("key create"), m[1]+" ") {
					t.Errorf("%s names %s: no command has that flag", d.path, m[1])
				}
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d commands were found", seen)
	}
}

// Every variable that a document names is one of the configuration, or one that the program knows beside it.
func TestDocumentedVariables(t *testing.T) {
	t.Parallel()
	known := []string{"KEYFRAME_CONFIG", "KEYFRAME_FAILPOINT", "KEYFRAME_SOAK"}
	for key := range config.Keys() {
		known = append(known, "KEYFRAME_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_")))
	}
	for _, d := range documents(t) {
		for _, v := range env.FindAllString(d.text, -1) {
			if !slices.Contains(known, v) {
				t.Errorf("%s names %s: there is no such variable", d.path, v)
			}
		}
	}
}

// Every path of the sources that a document names is there, and no path of somebody's machine is named.
func TestDocumentedPaths(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		for _, m := range source.FindAllStringSubmatch(d.text, -1) {
			if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
				t.Errorf("%s names %s: %v", d.path, m[1], err)
			}
		}
		for _, private := range []string{"/tmp/", "/root/"} {
			if strings.Contains(d.text, private) {
				t.Errorf("%s shows a path of a machine: %s", d.path, private)
			}
		}
	}
}
