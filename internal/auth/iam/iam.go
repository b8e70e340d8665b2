// Package iam knows who may sign requests: the accounts, their principals and access keys. They stand in the credentials
// file of the data directory, in the format that every AWS tool reads, so the same file serves both sides.
package iam

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
)

// DefaultAccount is the account of a profile that names none.
const DefaultAccount = "123456789012"

// Secret is a secret access key or session token. It never prints; Reveal gives the string.
type Secret = sigv4.Secret

// NewSecret hides s.
func NewSecret(s string) Secret { return sigv4.NewSecret(s) }

// Principal is who signed a request.
type Principal struct {
	Account     string // twelve digits
	ARN         string // arn:aws:iam::123456789012:root
	UserID      string // the account number, for a root
	AccessKeyID string
}

// Identity is the principal as policy sees it.
func (p Principal) Identity() policy.Identity {
	return policy.Identity{Account: p.Account, ARN: p.ARN, Root: p.ARN == rootARN(p.Account)}
}

func rootARN(account string) string { return "arn:aws:iam::" + account + ":root" }

// Directory finds principals by access key. It does not change after Open and may be used by many goroutines.
type Directory struct {
	path  string
	byKey map[string]entry
	first entry // the default profile, or the first of the file
}

type entry struct {
	principal Principal
	secret    Secret
}

// Options say where the credentials are and what they are to be.
type Options struct {
	Path    string // of the credentials file, usually DIR/credentials
	Account string // of profiles without aws_account_id; DefaultAccount if empty

	// A pair that is given beforehand becomes the default profile, in the file too, in place of the one that was there.
	// Both or none.
	AccessKeyID     string
	SecretAccessKey Secret
}

// Open reads the credentials file. At the first start it writes one, of mode 0600, with the given or a random key pair
// for the root of the account.
func Open(o Options) (*Directory, error) {
	if o.Account == "" {
		o.Account = DefaultAccount
	}
	if !validAccount(o.Account) {
		return nil, fmt.Errorf("account %q: an AWS account has twelve digits", o.Account)
	}
	if (o.AccessKeyID == "") != o.SecretAccessKey.Empty() {
		return nil, errors.New("an access key id and a secret access key are given together or not at all: one of the two is missing")
	}
	if o.AccessKeyID != "" {
		if err := checkPair(o.AccessKeyID, o.SecretAccessKey.Reveal()); err != nil {
			return nil, fmt.Errorf("the given key pair: %w", err)
		}
	}
	text, err := readFile(o.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if text, err = create(o); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("read credentials: %w", err)
	case o.AccessKeyID != "":
		if text, err = preset(o, text); err != nil {
			return nil, err
		}
	}
	return load(o, text)
}

func load(o Options, text []byte) (*Directory, error) {
	f, err := parse(o.Path, text)
	if err != nil {
		return nil, err
	}
	d := &Directory{path: o.Path, byKey: map[string]entry{}}
	for _, p := range f.profiles {
		e, err := p.entry(o.Path, o.Account)
		if err != nil {
			return nil, err
		}
		if twin, ok := d.byKey[e.principal.AccessKeyID]; ok && twin.principal != e.principal || ok && twin.secret.Reveal() != e.secret.Reveal() {
			return nil, fmt.Errorf("%s:%d: access key %s stands in two profiles with different secrets or accounts", o.Path, p.line, e.principal.AccessKeyID)
		}
		d.byKey[e.principal.AccessKeyID] = e
		if p.name == "default" || d.first.principal.AccessKeyID == "" {
			d.first = e
		}
	}
	if len(d.byKey) == 0 {
		return nil, fmt.Errorf("%s: no profile with credentials: add one, or delete the file to have a new one written", o.Path)
	}
	return d, nil
}

// Lookup finds the principal behind an access key, and the secret that its requests are signed with.
func (d *Directory) Lookup(accessKeyID string) (Principal, Secret, bool) {
	e, ok := d.byKey[accessKeyID]
	return e.principal, e.secret, ok
}

// Default is the principal of the default profile, for requests that the program makes to itself.
func (d *Directory) Default() (Principal, Secret) { return d.first.principal, d.first.secret }

// Accounts lists the accounts that are served, sorted.
func (d *Directory) Accounts() []string {
	var all []string
	for _, e := range d.byKey {
		all = append(all, e.principal.Account)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Path is where the credentials file is.
func (d *Directory) Path() string { return d.path }

// newPair draws a key pair: 80 and 240 random bits, in the form that AWS gives them.
func newPair() (id string, secret Secret) {
	b := make([]byte, 40)
	_, _ = rand.Read(b) // never fails: it would end the program instead
	return "AKIA" + base32.StdEncoding.EncodeToString(b[:10]), NewSecret(base64.StdEncoding.EncodeToString(b[10:]))
}

func create(o Options) ([]byte, error) {
	id, secret := o.AccessKeyID, o.SecretAccessKey
	if id == "" {
		id, secret = newPair()
	}
	text := "# Written by keyframe at its first start. Every profile here is the root of its account; more may be added\n" +
		"# (a restart reads them), each with its own aws_account_id.\n" + section("default", id, secret, o.Account)
	return []byte(text), replaceFile(o.Path, []byte(text))
}

func section(name, id string, secret Secret, account string) string {
	return "[" + name + "]\naws_access_key_id = " + id + "\naws_secret_access_key = " + secret.Reveal() + "\naws_account_id = " + account + "\n"
}

// replaceFile makes the file appear whole and durable, or not at all.
func replaceFile(path string, text []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write credentials: %w", err)
		}
	}()
	f, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(text); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}
