package iam

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
)

func place(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials")
	if text != "" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func mustOpen(t *testing.T, o Options) *Directory {
	t.Helper()
	d, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The SDK reads the file that we wrote, and finds the pair that we know.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	path := place(t, "")
	d := mustOpen(t, Options{Path: path})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if names, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(names) != 1 {
		t.Fatalf("left behind: %v", names)
	}
	cfg, err := config.LoadSharedConfigProfile(t.Context(), "default", func(o *config.LoadSharedConfigOptions) {
		o.CredentialsFiles, o.ConfigFiles = []string{path}, []string{}
	})
	if err != nil {
		t.Fatal(err)
	}
	p, secret, ok := d.Lookup(cfg.Credentials.AccessKeyID)
	if !ok || secret.Reveal() != cfg.Credentials.SecretAccessKey || cfg.Credentials.AccountID != DefaultAccount {
		t.Fatal("the SDK found other credentials")
	}
	if len(secret.Reveal()) != 40 || len(p.AccessKeyID) != 20 {
		t.Fatalf("lengths %d, %d", len(secret.Reveal()), len(p.AccessKeyID))
	}
	want := Principal{DefaultAccount, "arn:aws:iam::123456789012:root", DefaultAccount, p.AccessKeyID}
	if p != want || !p.Identity().Root {
		t.Fatalf("%+v", p)
	}
	if again, s := mustOpen(t, Options{Path: path, Account: "999999999999"}).Default(); again != p || s.Reveal() != secret.Reveal() {
		t.Fatal("the second start found another principal")
	}
	if other := mustOpen(t, Options{Path: place(t, "")}); other.first.principal.AccessKeyID == p.AccessKeyID {
		t.Fatal("two first starts drew the same key")
	}
}

func TestPreset(t *testing.T) {
	t.Parallel()
	path := place(t, "")
	o := Options{Path: path, Account: "210987654321", AccessKeyID: "test", SecretAccessKey: NewSecret("first=secret #1")}
	p, s := mustOpen(t, o).Default()
	if p.Account != o.Account || p.AccessKeyID != "test" || s.Reveal() != "first=secret #1" {
		t.Fatalf("%+v", p)
	}
	before, _ := os.ReadFile(path)
	mustOpen(t, o)
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Fatal("the same pair rewrote the file")
	}
	o.AccessKeyID, o.SecretAccessKey = "test2", NewSecret("second")
	d := mustOpen(t, o)
	if _, _, ok := d.Lookup("test"); ok {
		t.Fatal("the replaced pair still opens")
	}
	plain := mustOpen(t, Options{Path: path})
	if p, s := plain.Default(); p.AccessKeyID != "test2" || s.Reveal() != "second" || p.Account != o.Account {
		t.Fatalf("%+v", p)
	}
}

func TestPresetKeepsTheRest(t *testing.T) {
	t.Parallel()
	const team = "[team]\naws_access_key_id=T\naws_secret_access_key=ts\naws_account_id=111122223333\n"
	for name, text := range map[string]string{
		"no default":          "# mine\n" + team,
		"no newline":          "# mine\n" + strings.TrimSpace(team),
		"empty default":       "# mine\n[default]\n" + team,
		"half a default":      "# mine\n[default]\naws_access_key_id = old\n" + team,
		"default at the end":  "# mine\n" + team + "[default]",
		"a default as usual":  "# mine\n[default]\nregion = x\naws_secret_access_key = old\naws_access_key_id = old\n" + team,
		"with carriage lines": strings.ReplaceAll("# mine\n[default]\naws_secret_access_key = old\naws_access_key_id = old\n"+team, "\n", "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := place(t, text)
			mustOpen(t, Options{Path: path, AccessKeyID: "new", SecretAccessKey: NewSecret("news")})
			d := mustOpen(t, Options{Path: path})
			p, s := d.Default()
			if p.AccessKeyID != "new" || s.Reveal() != "news" || p.Account != DefaultAccount {
				t.Fatalf("%+v", p)
			}
			if q, _, ok := d.Lookup("T"); !ok || q.Account != "111122223333" {
				t.Fatal("the other profile is gone")
			}
			if got, _ := os.ReadFile(path); !strings.HasPrefix(string(got), "# mine") {
				t.Fatal("the comment is gone")
			}
			if got := fmt.Sprint(d.Accounts()); got != "[111122223333 123456789012]" {
				t.Fatal(got)
			}
		})
	}
}

func TestOpenFileIsClosedToOthers(t *testing.T) {
	t.Parallel()
	path := place(t, "[a]\naws_access_key_id=A\naws_secret_access_key=s\n")
	mustOpen(t, Options{Path: path})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	const good = "[default]\naws_access_key_id=A\naws_secret_access_key=hunter2\n"
	for name, c := range map[string]struct{ text, want string }{
		"no profile":        {"# nothing\n", "no profile"},
		"setting outside":   {"aws_access_key_id=A\n", ":1: aws_access_key_id stands before"},
		"broken head":       {good + "[x\n", ":4: a profile must be"},
		"empty head":        {good + "[]\n", ":4: a profile must be"},
		"profile twice":     {good + good, ":4: profile \"default\" was there already at line 1"},
		"setting twice":     {good + "aws_access_key_id=B\n", ":4: aws_access_key_id was given already at line 2"},
		"no equals sign":    {good + "hunter2\n", ":4: neither"},
		"session token":     {good + "aws_session_token=hunter2\n", ":4: aws_session_token"},
		"typing error":      {good + "aws_acount_id=1\n", ":4: unknown setting aws_acount_id"},
		"no secret":         {"[a]\naws_access_key_id=A\n", ":1: profile \"a\" has no aws_secret_access_key"},
		"empty secret":      {"[a]\naws_access_key_id=A\naws_secret_access_key=\n", ":3: profile \"a\" has no aws_secret_access_key"},
		"no id":             {"[a]\naws_secret_access_key=hunter2\n", ":1: profile \"a\" has no aws_access_key_id"},
		"id with a slash":   {"[a]\naws_access_key_id=A/B\naws_secret_access_key=hunter2\n", ":2: profile \"a\": an access key id has only"},
		"secret with a tab": {"[a]\naws_access_key_id=A\naws_secret_access_key=hunter2\thunter2\n", ":2: profile \"a\": the secret"},
		"account":           {good + "aws_account_id=12345\n", ":4: profile \"default\": aws_account_id \"12345\""},
		"one key, two":      {good + "[b]\naws_access_key_id=A\naws_secret_access_key=hunter3\n", ":4: access key A stands in two"},
		"not text":          {good + "\xff\xfe", ":4: not UTF-8"},
		"too large":         {good + strings.Repeat("#", maxFile), "larger than"},
	} {
		_, err := Open(Options{Path: place(t, c.text)})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	for name, o := range map[string]Options{
		"id alone":      {AccessKeyID: "A"},
		"secret alone":  {SecretAccessKey: NewSecret("s")},
		"bad id":        {AccessKeyID: "a b", SecretAccessKey: NewSecret("s")},
		"bad secret":    {AccessKeyID: "a", SecretAccessKey: NewSecret("s\ninjected = 1")},
		"bad account":   {Account: "x"},
		"no such place": {Path: filepath.Join(t.TempDir(), "none", "credentials")},
		"directory":     {Path: t.TempDir()},
	} {
		if o.Path == "" {
			o.Path = place(t, "")
		}
		if _, err := Open(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add([]byte("[default]\naws_access_key_id=A\naws_secret_access_key=s\naws_account_id=123456789012\n"))
	f.Add([]byte("[a\n=\n;x\n[b]\nregion=r"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := load(Options{Path: "p", Account: DefaultAccount}, text)
		if err != nil {
			return
		}
		p, secret := d.Default()
		if checkPair(p.AccessKeyID, secret.Reveal()) != nil || !validAccount(p.Account) {
			t.Fatalf("accepted %+v", p)
		}
		// What is accepted can be preset anew.
		path := filepath.Join(t.TempDir(), "credentials")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if d, err = Open(Options{Path: path, AccessKeyID: "fresh.key", SecretAccessKey: NewSecret("fresh")}); err == nil {
			if p, s := d.Default(); p.AccessKeyID != "fresh.key" || s.Reveal() != "fresh" {
				t.Fatalf("%+v", p)
			}
		}
	})
}
