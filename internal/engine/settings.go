package engine

import (
	"maps"
	"strings"
)

// Settings are what an engine's configuration file says of these parameters: Keyframe's defaults, and the values of the parameters over them.
func Settings(parameters map[string]string) map[string]string {
	s := maps.Clone(defaults)
	for name, value := range parameters {
		s[strings.ToLower(name)] = value
	}
	return s
}
