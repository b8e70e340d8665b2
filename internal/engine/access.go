package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// LongestAccess is the greatest length of an access string in bytes.
const LongestAccess = 8192

// CheckAccess refuses an access string that an engine would refuse, or that asks for what clients may not have. What passes is
// loaded by every engine: rules on commands that an older one does not know are left out there.
func CheckAccess(s string) error {
	a, err := parseAccess(s)
	if err != nil {
		return err
	}
	for _, rules := range append(a.selectors(), a.rules) {
		for _, r := range rules {
			if r.adds && isRefused(r.command) {
				return fmt.Errorf("the command %s is not available to clients", r.command)
			}
		}
	}
	return nil
}

// AccessNeeds is the oldest version of Redis that understands an access string: 6.0, 6.2 for channels, 7.0 for subcommands, key
// permissions and selectors.
func AccessNeeds(s string) string {
	switch {
	case strings.ContainsAny(s, "|%("):
		return "7.0"
	case strings.Contains(strings.ReplaceAll(" "+s+" ", " &* ", " "), " &"):
		return "6.2"
	}
	return "6.0"
}

// access is an access string, rule by rule.
type access struct {
	rules    []rule
	allows   state
	channels bool // some rule is about channels
}

// rule is one word of an access string, or a selector: rules in parentheses that are matched beside the user's own.
type rule struct {
	text     string
	command  string // that the rule adds or takes away: lower case, client|kill for a subcommand
	adds     bool
	selector *access
}

// state is what decides whether another pattern may follow.
type state struct{ everyKey, everyChannel bool }

func (a *access) selectors() (all [][]rule) {
	for _, r := range a.rules {
		if r.selector != nil {
			all = append(all, r.selector.rules)
		}
	}
	return all
}

// parseAccess reads an access string. Passwords have their own parameter.
func parseAccess(s string) (*access, error) {
	if len(s) > LongestAccess {
		return nil, fmt.Errorf("the access string must have at most %d characters", LongestAccess)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return nil, errors.New("the access string has unprintable characters")
	}
	a := &access{}
	words := strings.Fields(s)
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if !strings.HasPrefix(word, "(") {
			if err := a.add(word, false); err != nil {
				return nil, err
			}
			continue
		}
		inside := []string{word[1:]}
		for !strings.HasSuffix(inside[len(inside)-1], ")") {
			if len(words) == 0 {
				return nil, errors.New("a selector is not closed")
			}
			inside, words = append(inside, words[0]), words[1:]
		}
		inside[len(inside)-1] = strings.TrimSuffix(inside[len(inside)-1], ")")
		sel := &access{}
		for _, w := range inside {
			if w == "" {
				continue
			}
			if err := sel.add(w, true); err != nil {
				return nil, fmt.Errorf("in a selector: %w", err)
			}
		}
		if len(sel.rules) == 0 {
			return nil, errors.New("a selector is empty")
		}
		a.rules = append(a.rules, rule{selector: sel})
	}
	return a, nil
}

// add reads one word.
func (a *access) add(word string, inSelector bool) error {
	low := strings.ToLower(word)
	r := rule{text: word}
	switch low {
	case "on", "off", "clearselectors":
		if inSelector {
			return fmt.Errorf("%q cannot stand here", clip(word))
		}
	case "allcommands", "nocommands":
	case "allkeys", "~*":
		a.allows.everyKey = true
	case "resetkeys":
		a.allows.everyKey = false
	case "allchannels", "&*":
		a.allows.everyChannel, a.channels = true, true
	case "resetchannels":
		a.allows.everyChannel, a.channels = false, true
	case "nopass", "resetpass", "reset":
		return fmt.Errorf("%q is not allowed: passwords have their own parameters", word)
	default:
		if strings.ContainsAny(word, "()") {
			return fmt.Errorf("%q has a parenthesis in the wrong place", clip(word))
		}
		var err error
		switch word[0] {
		case '~', '%':
			err = a.keys(word)
		case '&':
			if a.channels = true; a.allows.everyChannel {
				err = fmt.Errorf("%q has no effect after all channels were allowed", clip(word))
			} else if word == "&" {
				err = errors.New(`"&" lacks a pattern`)
			}
		case '+', '-':
			r.adds = word[0] == '+'
			r.command, err = command(low[1:], r.adds)
		case '>', '<', '#', '!':
			err = errors.New("an access string may not contain passwords: they have their own parameters")
		default:
			err = fmt.Errorf("%q is not a rule", clip(word))
		}
		if err != nil {
			return err
		}
	}
	a.rules = append(a.rules, r)
	return nil
}

// keys reads a key pattern, such as ~app:* or %R~app:*.
func (a *access) keys(word string) error {
	permissions, pattern, ok := strings.Cut(word, "~")
	if word[0] == '%' {
		ok = ok && slices.Contains([]string{"%r", "%w", "%rw", "%wr"}, strings.ToLower(permissions))
	}
	switch {
	case !ok || pattern == "":
		return fmt.Errorf("%q is not a key pattern such as ~app:*, %%R~app:* or %%W~app:*", clip(word))
	case a.allows.everyKey:
		return fmt.Errorf("%q has no effect after all keys were allowed", clip(word))
	}
	return nil
}

// command reads what follows + or - in lower case. It returns the name of the command, nothing for a category.
func command(s string, adds bool) (string, error) {
	if category, ok := strings.CutPrefix(s, "@"); ok {
		if !slices.Contains(categories, category) {
			return "", fmt.Errorf("%q is not a category of commands", clip("@"+category))
		}
		return "", nil
	}
	if commands[s] != nil {
		return s, nil
	}
	name, argument, ok := strings.Cut(s, "|")
	switch {
	case !ok || commands[name] == nil || argument == "" || strings.Contains(argument, "|"):
		return "", fmt.Errorf("%q is not a command", clip(s))
	case containers[name]:
		return "", fmt.Errorf("%s has no subcommand %q", name, clip(argument))
	case !adds:
		return "", fmt.Errorf("the first argument of %s can only be allowed, not taken away", name)
	}
	return name, nil // the command, with this first argument only
}

// isRefused tells whether clients may not run a command, or the command that it is a part of.
func isRefused(name string) bool {
	container, _, _ := strings.Cut(name, "|")
	return slices.ContainsFunc(refused, func(r string) bool { return r == name || r == container })
}

// write renders the rules for an engine, and after them, so that nothing before can undo it, what its clients may not do.
func (a *access) write(b *strings.Builder, e resource.Engine, v Version, denied []string) {
	if a.channels {
		b.WriteString(" resetchannels") // by the engine's settings all may be allowed, and then no pattern may follow
	}
	for _, r := range a.rules {
		switch {
		case r.selector != nil:
			var inner strings.Builder
			r.selector.write(&inner, e, v, denied)
			b.WriteString(" (" + inner.String()[1:] + ")")
		case r.command != "" && !hasCommand(e, v, r.command), r.adds && isRefused(r.command):
		default:
			b.WriteString(" " + r.text)
		}
	}
	for _, d := range denied {
		b.WriteString(" -" + d)
	}
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
