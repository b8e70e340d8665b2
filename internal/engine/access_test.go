package engine_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

var redis7 = engine.Version{Major: 7, Minor: 0, Patch: 15}

func aclText(users ...engine.User) (string, error) {
	return engine.ACL{Engine: engine.Redis, Version: redis7, Admin: engine.NewSecret("hunter2"), Users: users}.Text()
}

func TestAccessStringsThatPass(t *testing.T) {
	t.Parallel()
	for _, access := range []string{"", "on", "off", "on ~* +@all", "ON ~* &* +@ALL -@Dangerous", "on ~app::* -@all +@read", "on allkeys allchannels allcommands",
		"~objects:* ~items:* ~public:*", "on %R~a:* %w~b:* %RW~c +GET +client|kill -config|set -config", "on resetkeys ~x ~* resetkeys ~y resetchannels &a &b",
		"on +select|0 +set|x", "on ~* (+get ~a:*) (%R~b:* &c +@all) clearselectors", "on ( +get ~a )", "on +waitaof +script|show +hexpire", "on +multi|exec nocommands",
		"on ~\"quoted ~it's ~[a-z]* ~\\x41", "on off on"} {
		if err := engine.CheckAccess(access); err != nil {
			t.Errorf("%q is refused: %v", access, err)
		} else if text, err := aclText(engine.User{Name: "u", Access: access}); err != nil || strings.Count(text, "\n") != 3 {
			t.Errorf("%q: %v\n%s", access, err, text)
		}
	}
}

func TestAccessStringsThatAreRefused(t *testing.T) {
	t.Parallel()
	for access, why := range map[string]string{
		"on >pw +@all": "passwords", "<pw": "passwords", "!abc": "passwords", "#abc": "passwords", "on nopass": "passwords", "on NoPass": "passwords", "RESET": "passwords", "resetpass": "passwords",
		"sanitize-payload": "not a rule", "on (+config ~*)": "not available", "on +get\x00": "unprintable", "on\n+get": "unprintable", "on \u00e4": "unprintable", "on (+@all": "not closed", "on ()": "empty", "on ( )": "empty",
		"on (on)": "cannot stand", "on ((+get))": "parenthesis", "on +get)": "parenthesis", "on ~a(b)": "parenthesis", "on +foo": "not a command", "on +@foo": "not a category", "on +": "not a command", "on -": "not a command",
		"on +@": "not a category", "on +@all|x": "not a category", "+config|foo": "no subcommand", "+config|get": "not available", "+CONFIG": "not available", "+debug|sleep": "not available", "+client|pause": "not available",
		"+get|a|b": "not a command", "+get|": "not a command", "-select|0": "only be allowed", "~": "key pattern", "%~a": "key pattern", "%R": "key pattern", "%X~a": "key pattern", "%RR~a": "key pattern", "&": "lacks", "~* ~a": "no effect",
		"allkeys %R~a": "no effect", "&* &a": "no effect", "hello": "not a rule", "on ~" + strings.Repeat("a", 9000): "at most", "alldbs": "not a rule", "db=0": "not a rule", "+cluster|migrateslots": "not available",
	} {
		if err := engine.CheckAccess(access); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.40q: %v, want %q", access, err, why)
		}
	}
}

// Nothing that clients can write into an access string comes after the rules that take our commands away, ends the line, or
// adds a word that is about passwords.
func TestAccessStringsCannotEscape(t *testing.T) {
	t.Parallel()
	words := []string{"on", "off", "~a", "~*", "+@all", "allcommands", "-@all", "+config", "+config|get", "+debug|x", "+acl", "+acl|setuser", "(", ")", "(+@all", "(~*", "+config)", "+@all)", "clearselectors", "&*", "resetchannels", "+select|1", "nopass", ">x", "\n", "reset", "NOPASS"}
	rapid.Check(t, func(t *rapid.T) {
		access := strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(words), rapid.StringN(0, 8, 30)), 0, 8).Draw(t, "words"), " ")
		text, err := aclText(engine.User{Name: "u", Access: access})
		if err != nil {
			if engine.CheckAccess(access) == nil {
				t.Fatalf("%q is accepted first, and then %v", access, err)
			}
			return
		}
		lines := strings.Split(text, "\n")
		if len(lines) != 4 {
			t.Fatalf("%q makes %d lines", access, len(lines))
		}
		tail := " -" + strings.Join(engine.Refused(engine.Redis, redis7), " -")
		for _, selector := range selectors.FindAllString(lines[1], -1) {
			if !strings.HasSuffix(selector, tail+")") {
				t.Fatalf("%q: a selector ends with its own rules: %s", access, selector)
			}
		}
		if !strings.HasSuffix(selectors.ReplaceAllString(lines[1], ""), tail) || !strings.HasPrefix(lines[1], "user u reset") {
			t.Fatalf("%q becomes %s", access, lines[1])
		}
		for _, word := range strings.Fields(strings.ToLower(lines[1]))[3:] {
			if strings.ContainsAny(word[:1], "><#!") || word == "nopass" || word == "reset" || word == "resetpass" {
				t.Fatalf("%q is about passwords: %s", access, word)
			}
		}
	})
}

var selectors = regexp.MustCompile(`\([^()]*\)`)

func TestUsersOfACLFiles(t *testing.T) {
	t.Parallel()
	for _, u := range []engine.User{{Name: ""}, {Name: "a b"}, {Name: "a\nuser b on"}, {Name: engine.AdminUser}, {Name: "u", Hashes: []string{"zz"}}, {Name: "u", Access: "reset"}} {
		if _, err := aclText(u); err == nil {
			t.Errorf("user %q is taken", u.Name)
		}
	}
	if _, err := aclText(engine.User{Name: "u"}, engine.User{Name: "u"}); err == nil {
		t.Error("a name is taken twice")
	}
	text, err := aclText()
	if err != nil || strings.Contains(text, "hunter2") || !strings.Contains(text, "user default reset off\n") {
		t.Errorf("%v\n%s", err, text)
	}
	// Commands of newer engines are no concern of an older one.
	text, err = aclText(engine.User{Name: "u", Access: "on +get +waitaof -script|show &x"})
	if err != nil || !strings.Contains(text, "user u reset resetchannels on +get &x -acl|setuser ") || strings.Contains(text, "waitaof") || strings.Contains(text, "migrateslots") {
		t.Errorf("%v\n%s", err, text)
	}
	nine, err := engine.ACL{Engine: engine.Valkey, Version: engine.Version{Major: 9, Minor: 0}, Users: []engine.User{{Name: "u", Access: "+waitaof"}}}.Text()
	if err != nil || !strings.Contains(nine, "+waitaof") || !strings.Contains(nine, "-cluster|migrateslots") {
		t.Errorf("%v\n%s", err, nine)
	}
}

func TestAccessNeeds(t *testing.T) {
	t.Parallel()
	for access, want := range map[string]string{"on ~* +@all": "6.0", "on ~* &* +@all": "6.0", "on &a": "6.2", "+client|kill": "7.0", "%R~a": "7.0", "(+get)": "7.0"} {
		if got := engine.AccessNeeds(access); got != want {
			t.Errorf("%q needs %s", access, got)
		}
	}
}

func FuzzCheckAccess(f *testing.F) {
	f.Add("on ~* (+get ~a) -config|set")
	f.Fuzz(func(t *testing.T, s string) {
		if engine.CheckAccess(s) != nil {
			return
		}
		for _, e := range []resource.Engine{engine.Redis, engine.Valkey} {
			if text, err := (engine.ACL{Engine: e, Version: redis7, Users: []engine.User{{Name: "u", Access: s}}}).Text(); err != nil || strings.Count(text, "\n") != 3 {
				t.Fatalf("%q: %v\n%s", s, err, text)
			}
		}
	})
}
