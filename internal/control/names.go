package control

import (
	"regexp"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

var identifier = regexp.MustCompile(`^[A-Za-z](-?[A-Za-z0-9])*$`)

// notIdentifier is AWS's own sentence.
const notIdentifier = "The parameter %s is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."

// newName checks a name that a user gives to something new and returns it as it is stored, in lower case.
// Names never become paths, and still nothing that could be one passes.
func newName(param, name string, longest int) (string, error) {
	if name == "" {
		return "", resource.Errorf(resource.InvalidValue, resource.TypeParameter, param,
			"The parameter %s must be provided and must not be blank.", param)
	}
	if len(name) > longest {
		return "", resource.Errorf(resource.InvalidValue, resource.TypeParameter, param,
			"The parameter %s must not be longer than %d characters.", param, longest)
	}
	if !identifier.MatchString(name) {
		return "", resource.Errorf(resource.InvalidValue, resource.TypeParameter, param, notIdentifier, param)
	}
	return strings.ToLower(name), nil
}

// oldName is a name that refers to something that should exist. It is looked up as it is stored; one that could never
// have been given is simply not found.
func oldName(name string) string { return strings.ToLower(strings.TrimSpace(name)) }
