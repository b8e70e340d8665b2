package control

import (
	"strings"
	"unicode/utf8"

	"github.com/keyframe/keyframe/internal/resource"
)

// checkTags applies the rules that AWS documents for tags: keys of 1 to 128 characters, values of up to 256, no key twice,
// none with the reserved prefix, and no more than the quota.
func (c *Control) checkTags(tags []resource.Tag) error {
	seen := make(map[string]bool, len(tags))
	for _, t := range tags {
		n := utf8.RuneCountInString(t.Key)
		switch {
		case n < 1 || n > 128:
			return invalid("Tags", "A tag key must have 1 to 128 characters; %q has %d.", clip(t.Key), n)
		case utf8.RuneCountInString(t.Value) > 256:
			return invalid("Tags", "The value of the tag %q must have at most 256 characters.", clip(t.Key))
		case !utf8.ValidString(t.Key) || !utf8.ValidString(t.Value):
			return invalid("Tags", "Tags must be valid UTF-8.")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return invalid("Tags", "The tag key %q is not allowed: keys that begin with aws: are reserved.", clip(t.Key))
		case seen[t.Key]:
			return invalid("Tags", "The tag key %q is given more than once.", clip(t.Key))
		}
		seen[t.Key] = true
	}
	if len(tags) > c.quota.TagsPerResource {
		return c.tooManyTags()
	}
	return nil
}

func (c *Control) tooManyTags() error {
	return resource.Errorf(resource.TagQuota, resource.TypeOther, "Tags",
		"The request cannot be processed because it would cause the resource to have more than the allowed number of tags. The maximum number of tags permitted on a resource is %d.",
		c.quota.TagsPerResource)
}

func invalid(param, format string, args ...any) error {
	return resource.Errorf(resource.InvalidValue, resource.TypeParameter, param, format, args...)
}

func conflicting(format string, args ...any) error {
	return resource.Errorf(resource.InvalidCombination, resource.TypeParameter, "", format, args...)
}

// clip shortens what a user sent before it stands in a message.
func clip(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:64], "") + "..."
}
