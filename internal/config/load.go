package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// Load lays flags over environment over file over defaults. flags holds only what was given on the command line, by key
// ("export.endpoint"); file may be empty. A key that nobody knows is refused with the place it stands in.
func Load(file string, environ []string, flags map[string]any) (Config, error) {
	known := keys()
	k := koanf.New(".")
	if file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			return Config{}, err
		}
		tree := map[string]any{}
		if err := yaml.Unmarshal(raw, &tree); err != nil {
			return Config{}, fmt.Errorf("%s: %w", file, err)
		}
		if err := k.Load(values(tree), nil); err != nil {
			return Config{}, fmt.Errorf("%s: %w", file, err)
		}
		for _, key := range k.Keys() {
			if !slices.Contains(known, key) {
				return Config{}, fmt.Errorf("%s: unknown key %q", file, key)
			}
		}
	}
	env, err := fromEnvironment(environ, known)
	if err != nil {
		return Config{}, err
	}
	for _, layer := range []map[string]any{env, flags} {
		for key, v := range layer {
			if err := k.Set(key, v); err != nil {
				return Config{}, fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	c := Default()
	err = k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: &c, WeaklyTypedInput: true, ErrorUnused: true, TagName: "koanf",
		DecodeHook: mapstructure.ComposeDecodeHookFunc(mapstructure.StringToTimeDurationHookFunc()),
	}})
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	return c, c.Check()
}

// reserved are variables with our prefix that are not configuration: they arm tests and name files.
var reserved = []string{"KEYFRAME_FAILPOINT", "KEYFRAME_CONFIG", "KEYFRAME_SOAK"}

func fromEnvironment(environ, known []string) (map[string]any, error) {
	byName := map[string]string{}
	for _, key := range known {
		byName["KEYFRAME_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))] = key
	}
	out := map[string]any{}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "KEYFRAME_") || slices.Contains(reserved, name) || strings.HasPrefix(name, "KEYFRAME_TEST_") {
			continue
		}
		key, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("environment: unknown variable %s", name)
		}
		out[key] = value
	}
	return out, nil
}
