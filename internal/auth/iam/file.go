package iam

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxFile = 1 << 20 // bytes of a credentials file

// file is a credentials file as far as Keyframe reads it.
type file struct{ profiles []*profile }

type profile struct {
	name  string
	line  int // of its head, from 1
	value map[string]setting
}

type setting struct {
	text string
	line int
}

// readFile reads the credentials and closes the file to others if it was open to them.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			return nil, fmt.Errorf("others may read the secrets in it, and that cannot be changed: %w", err)
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return text, err
}

// parse reads the INI dialect of AWS's shared credentials file. Its errors name the line, and no secret.
func parse(path string, text []byte) (*file, error) {
	f := &file{}
	seen := map[string]int{}
	var at *profile
	for i, raw := range bytes.Split(text, []byte("\n")) {
		n := i + 1
		bad := func(format string, args ...any) (*file, error) {
			return nil, fmt.Errorf("%s:%d: "+format, append([]any{path, n}, args...)...)
		}
		line := strings.TrimSpace(string(raw))
		if !utf8.ValidString(line) {
			return bad("not UTF-8 text")
		}
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			name, ok := strings.CutSuffix(line[1:], "]")
			if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, "[]") {
				return bad("a profile must be written [name]")
			}
			if seen[name] > 0 {
				return bad("profile %q was there already at line %d", name, seen[name])
			}
			seen[name] = n
			at = &profile{name: name, line: n, value: map[string]setting{}}
			f.profiles = append(f.profiles, at)
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		switch {
		case !ok || key == "":
			return bad("neither [profile] nor name = value")
		case at == nil:
			return bad("%s stands before the first [profile]", key)
		case at.value[key].line > 0:
			return bad("%s was given already at line %d", key, at.value[key].line)
		case key == "aws_session_token":
			return bad("aws_session_token: temporary credentials cannot be those of a server")
		case strings.HasPrefix(key, "aws_") && key != keyID && key != keySecret && key != keyAccount:
			return bad("unknown setting %s: only %s, %s and %s are read", key, keyID, keySecret, keyAccount)
		}
		at.value[key] = setting{value, n}
	}
	return f, nil
}

const (
	keyID      = "aws_access_key_id"
	keySecret  = "aws_secret_access_key"
	keyAccount = "aws_account_id"
)

func (p *profile) entry(path, account string) (entry, error) {
	for _, k := range []string{keyID, keySecret} {
		if p.value[k].text == "" {
			return entry{}, fmt.Errorf("%s:%d: profile %q has no %s", path, max(p.line, p.value[k].line), p.name, k)
		}
	}
	id, secret := p.value[keyID].text, p.value[keySecret].text
	if err := checkPair(id, secret); err != nil {
		return entry{}, fmt.Errorf("%s:%d: profile %q: %w", path, p.value[keyID].line, p.name, err)
	}
	if a := p.value[keyAccount]; a.line > 0 {
		if account = a.text; !validAccount(account) {
			return entry{}, fmt.Errorf("%s:%d: profile %q: %s %q: an AWS account has twelve digits", path, a.line, p.name, keyAccount, account)
		}
	}
	return entry{Principal{Account: account, ARN: rootARN(account), UserID: account, AccessKeyID: id}, NewSecret(secret)}, nil
}

func validAccount(a string) bool { return len(a) == 12 && strings.Trim(a, "0123456789") == "" }

// checkPair refuses what could not be signed with, or not be written to the file and read back.
func checkPair(id, secret string) error {
	for i := range len(id) {
		if c := id[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
			return errors.New("an access key id has only letters, digits, underscore, hyphen and dot")
		}
	}
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case id == "" || len(id) > 128:
		return errors.New("an access key id has 1 to 128 characters")
	case secret == "" || len(secret) > 1024:
		return errors.New("a secret access key has 1 to 1024 characters")
	case !utf8.ValidString(secret) || strings.ContainsFunc(secret, odd) || strings.TrimSpace(secret) != secret:
		return errors.New("the secret access key has a control character, or a space at an end")
	}
	return nil
}

// preset makes the given pair that of the default profile, and leaves the rest of the file alone.
func preset(o Options, text []byte) ([]byte, error) {
	f, err := parse(o.Path, text)
	if err != nil {
		return nil, err
	}
	var def *profile
	for _, p := range f.profiles {
		if p.name == "default" {
			def = p
		}
	}
	lines := strings.SplitAfter(string(text), "\n")
	if def == nil {
		if n := len(text); n > 0 && text[n-1] != '\n' {
			lines = append(lines, "\n")
		}
		lines = append(lines, section("default", o.AccessKeyID, o.SecretAccessKey, o.Account))
	} else {
		want := map[string]string{keyID: o.AccessKeyID, keySecret: o.SecretAccessKey.Reveal()}
		if def.value[keyID].text == want[keyID] && def.value[keySecret].text == want[keySecret] {
			return text, nil
		}
		for _, k := range []string{keyID, keySecret} {
			row := k + " = " + want[k] + "\n"
			if n := def.value[k].line; n > 0 {
				lines[n-1] = row
			} else {
				lines[def.line-1] = strings.TrimRight(lines[def.line-1], "\n") + "\n" + row
			}
		}
	}
	out := []byte(strings.Join(lines, ""))
	return out, replaceFile(o.Path, out)
}
