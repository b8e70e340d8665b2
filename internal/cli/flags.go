package cli

import (
	"os"
	"reflect"
	"slices"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/config"
)

// settings adds a flag for every key of the configuration, and returns what to call once the line is parsed.
// Flags win over KEYFRAME_* variables, these over the file, that over the defaults.
func (s *session) settings(cmd *cobra.Command, only ...string) func() (config.Config, error) {
	kinds := config.Keys()
	help := config.Help()
	for key, kind := range kinds {
		if len(only) > 0 && !slices.Contains(only, key) {
			continue
		}
		if kind == reflect.Bool {
			cmd.Flags().Bool(config.Flag(key), false, help[key])
			continue
		}
		cmd.Flags().String(config.Flag(key), "", help[key])
	}
	return func() (config.Config, error) {
		given := map[string]any{}
		for key := range kinds {
			if f := cmd.Flags().Lookup(config.Flag(key)); f != nil && f.Changed {
				given[key] = f.Value.String()
			}
		}
		c, err := config.Load(s.file, os.Environ(), given)
		if err != nil {
			return c, usageError{err}
		}
		return c, nil
	}
}
