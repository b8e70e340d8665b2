package config

import (
	"reflect"
	"strings"

	"github.com/knadh/koanf/v2"
)

// keys lists every key of Config, dotted.
func keys() []string { return keysOf(reflect.TypeFor[Config](), "") }

func keysOf(t reflect.Type, prefix string) []string {
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		key := prefix + f.Tag.Get("koanf")
		if f.Type.Kind() == reflect.Struct {
			all = append(all, keysOf(f.Type, key+".")...)
			continue
		}
		all = append(all, key)
	}
	return all
}

// Flag is the command-line flag of a key: export.path_style is --export-path-style.
func Flag(key string) string { return strings.NewReplacer(".", "-", "_", "-").Replace(key) }

// Keys lists every key with the kind of its value, for the flags of the command line.
func Keys() map[string]reflect.Kind {
	all := map[string]reflect.Kind{}
	for _, key := range keys() {
		all[key] = field(key).Type.Kind()
	}
	return all
}

// Help says of every key what it is for.
func Help() map[string]string {
	all := map[string]string{}
	for _, key := range keys() {
		all[key] = field(key).Tag.Get("help")
	}
	return all
}

// field finds the field of a key.
func field(key string) (f reflect.StructField) {
	t := reflect.TypeFor[Config]()
	for _, step := range strings.Split(key, ".") {
		for i := range t.NumField() {
			if t.Field(i).Tag.Get("koanf") == step {
				f = t.Field(i)
			}
		}
		t = f.Type
	}
	return f
}

// values is a koanf provider over a map that is already there.
type values map[string]any

var _ koanf.Provider = values{}

func (v values) ReadBytes() ([]byte, error)    { return nil, nil }
func (v values) Read() (map[string]any, error) { return v, nil }
