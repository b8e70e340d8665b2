package config

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const page = "../../docs/configuration.md"

// The page that lists every key is written from the keys themselves.
func TestConfigurationPage(t *testing.T) {
	t.Parallel()
	want := markdown()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is stale: go test ./internal/config -run TestConfigurationPage -update")
	}
}

const head = `<!-- Written from internal/config by its test. Do not edit: go test ./internal/config -run TestConfigurationPage -update -->

# Configuration

A server reads flags, then ` + "`KEYFRAME_*`" + ` variables, then a YAML file, then the defaults; the first that says something wins. The file is named by ` + "`--config`" + ` or
` + "`KEYFRAME_CONFIG`" + `. Keys with a dot are nested in the file:

` + "```yaml" + `
listen: 127.0.0.1:7411
quota:
  serverless_caches: 100
shutdown_grace: 10s
` + "```" + `

A key or variable that nobody knows is refused, and so is a value that cannot be used: the program then ends with status 2 and says which. Durations are written ` + "`90s`" + `,
` + "`10m`" + `. Secrets are better given as variables or in the file (mode 0600) than as flags, which other users of the machine can see.

| key in the file | flag | variable | default | meaning |
|---|---|---|---|---|
`

func markdown() string {
	var b strings.Builder
	b.WriteString(head)
	help, defaults := Help(), reflect.ValueOf(Default())
	for _, key := range keys() {
		fmt.Fprintf(&b, "| `%s` | `--%s` | `KEYFRAME_%s` | %s | %s |\n", key, Flag(key), strings.ToUpper(strings.ReplaceAll(key, ".", "_")),
			shown(value(defaults, key)), help[key])
	}
	return b.String()
}

// value finds the value of a key by the names of its fields' tags.
func value(v reflect.Value, key string) any {
	for step := range strings.SplitSeq(key, ".") {
		t := v.Type()
		for i := range t.NumField() {
			if t.Field(i).Tag.Get("koanf") == step {
				v = v.Field(i)
				break
			}
		}
	}
	return v.Interface()
}

func shown(v any) string {
	switch v := v.(type) {
	case Secret:
		return "" // no secret has a default
	case string:
		if v == "" {
			return ""
		}
	case time.Duration:
		if text, ok := strings.CutSuffix(v.String(), "m0s"); ok {
			return "`" + text + "m`"
		}
	}
	return fmt.Sprintf("`%v`", v)
}
