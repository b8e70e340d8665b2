package kms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/keyframe/keyframe/internal/resource"
)

func openLocal(t *testing.T, dir string) *Local {
	t.Helper()
	l, err := OpenLocal(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLocalContract(t *testing.T) {
	t.Parallel()
	l := openLocal(t, t.TempDir())
	k, err := l.Create(home, "alias/mine", "for tests")
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"", k.ID, k.ARN(), "alias/mine", "arn:aws:kms:us-east-1:123456789012:alias/mine"} {
		t.Run(ref, func(t *testing.T) { runProvider(t, l, ref) })
	}
	refused(t, l, "arn:aws:kms:us-east-1:999999999999:key/"+k.ID, "does not exist")
	refused(t, l, "arn:aws:s3:::bucket", "Invalid arn")
	refused(t, l, "arn:aws-cn:kms:us-east-1:123456789012:key/"+k.ID, "Invalid arn")
	refused(t, l, "alias/none", "Alias arn:aws:kms:us-east-1:123456789012:alias/none is not found.")
	if arn, err := l.Resolve(t.Context(), resource.Scope{Account: home.Account, Region: "eu-west-1"}, "elasticache", "alias/mine"); err == nil {
		t.Errorf("alias of another region resolved to %s", arn)
	}
}

func TestLocalDefaultKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	arns := make([]string, 8)
	var wg sync.WaitGroup
	for i := range arns { // as many servers and commands at once
		wg.Go(func() {
			l, err := OpenLocal(dir, nil)
			if err == nil {
				arns[i], err = l.Resolve(t.Context(), home, "elasticache", "")
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, a := range arns {
		if a != arns[0] {
			t.Fatalf("two default keys: %q", arns)
		}
	}
	l := openLocal(t, dir)
	other, err := l.Resolve(t.Context(), home, "memorydb", "")
	if err != nil || other == arns[0] {
		t.Fatalf("memorydb's default is %q, %v", other, err)
	}
	if byAlias, err := l.Resolve(t.Context(), home, "x", "alias/aws/memorydb"); err != nil || byAlias != other {
		t.Fatalf("alias resolves to %q, %v", byAlias, err)
	}
	keys, err := l.List(home)
	if err != nil || len(keys) != 2 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	info, err := os.Stat(filepath.Join(dir, "kms", "keyring.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	if dirInfo, err := os.Stat(filepath.Join(dir, "kms")); err != nil || dirInfo.Mode().Perm() != 0o700 {
		t.Fatal(dirInfo.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "kms"))
	if err != nil || len(entries) != 2 { // the ring and its lock
		t.Fatal(entries, err)
	}
}

// TestLocalChangesAreSeen has a command line tool change the ring while a server runs.
func TestLocalChangesAreSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, tool := openLocal(t, dir), openLocal(t, dir)
	k, err := tool.Create(home, "", "")
	if err != nil {
		t.Fatal(err)
	}
	bind := map[string]string{"a": "b"}
	old, err := server.Wrap(t.Context(), k.ARN(), []byte("secret"), bind)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tool.Disable(home, k.ID); err != nil {
		t.Fatal(err)
	}
	wantInvalid(t, server.Check(t.Context(), k.ARN()), k.ARN()+" is disabled.")
	refused(t, server, k.ID, "is disabled")
	_, err = server.Unwrap(t.Context(), k.ARN(), old, bind)
	wantInvalid(t, err, "is disabled")
	_, err = server.Wrap(t.Context(), k.ARN(), []byte("secret"), bind)
	wantInvalid(t, err, "is disabled")
	if k, err := tool.Enable(home, k.ID); err != nil || !k.Enabled {
		t.Fatal(k, err)
	}
	if k, err = tool.Rotate(home, k.ID); err != nil || k.Versions != 2 {
		t.Fatal(k, err)
	}
	fresh, err := server.Wrap(t.Context(), k.ARN(), []byte("secret"), bind)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(old[:8], fresh[:8]) {
		t.Error("the new version does not wrap")
	}
	for _, w := range [][]byte{old, fresh} {
		if plain, err := server.Unwrap(t.Context(), k.ARN(), w, bind); err != nil || string(plain) != "secret" {
			t.Errorf("%q, %v", plain, err)
		}
	}
	if _, err := tool.SetAlias(home, k.ID, "alias/x"); err != nil {
		t.Fatal(err)
	}
	second, err := tool.Create(home, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tool.SetAlias(home, second.ID, "alias/x"); err != nil {
		t.Fatal(err)
	}
	if arn, err := server.Resolve(t.Context(), home, "elasticache", "alias/x"); err != nil || arn != second.ARN() {
		t.Errorf("alias/x is %q, %v", arn, err)
	}
}

func TestLocalRefusals(t *testing.T) {
	t.Parallel()
	l := openLocal(t, t.TempDir())
	if _, err := l.Create(home, "alias/x", ""); err != nil {
		t.Fatal(err)
	}
	var e *resource.Error
	if _, err := l.Create(home, "alias/x", ""); !errors.As(err, &e) || e.Kind != resource.AlreadyExists {
		t.Error(err)
	}
	if _, err := l.Create(home, "x", ""); !errors.As(err, &e) || e.Kind != resource.InvalidValue {
		t.Error(err)
	}
	if _, err := l.Disable(home, "nope"); !errors.As(err, &e) || e.Kind != resource.InvalidKey {
		t.Error(err)
	}
	if _, err := l.Wrap(t.Context(), "arn:aws:kms:us-east-1:123456789012:key/none", []byte("x"), nil); !errors.As(err, &e) || e.Kind != resource.InvalidKey {
		t.Error(err)
	}
}

func TestRingIsChecked(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "not json": "{", "future": `{"format":2}`, "unknown": `{"format":1,"x":1}`,
		"no material": `{"format":1,"keys":[{"id":"a","account":"1","region":"r","enabled":true,"created_at":"2026-01-01T00:00:00Z","versions":[]}]}`,
		"short":       `{"format":1,"keys":[{"id":"a","account":"1","region":"r","enabled":true,"created_at":"2026-01-01T00:00:00Z","versions":["AAAA"]}]}`,
		"null":        `{"format":1,"keys":[null]}`} {
		dir := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(dir, "kms"), 0o700), os.WriteFile(filepath.Join(dir, "kms", "keyring.json"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenLocal(dir, nil); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	dir := t.TempDir()
	l := openLocal(t, dir)
	if _, err := l.Create(home, "", ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "kms", "keyring.json"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLocal(dir, nil); err == nil {
		t.Error("a ring that others may read was accepted")
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&buf, nil))
	k := newKey(home, "", openLocal(t, t.TempDir()).now())
	copy(k.Versions[0], "hushhushhush")
	log.Info("x", "secret", Secret("hush"), "material", k.Versions[0], "options", VaultOptions{Token: "hush"}, "aws", AWSOptions{SecretAccessKey: "hush"})
	fmt.Fprintf(&buf, "%v %+v %#v %s", Secret("hush"), k, VaultOptions{Token: "hush"}, k.Versions[0])
	json.NewEncoder(&buf).Encode(struct{ Token Secret }{"hush"})
	if strings.Contains(buf.String(), "hush") || strings.Contains(buf.String(), "104 117 115 104") {
		t.Fatal(buf.String())
	}
}

func FuzzUnwrap(f *testing.F) {
	dir := f.TempDir()
	l, err := OpenLocal(dir, nil)
	if err != nil {
		f.Fatal(err)
	}
	k, err := l.Create(home, "", "")
	if err != nil {
		f.Fatal(err)
	}
	good, err := l.Wrap(f.Context(), k.ARN(), []byte("secret"), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("KFW1\x00\x00\x00\x01"))
	f.Add([]byte("KFW1\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		if plain, err := l.Unwrap(t.Context(), k.ARN(), wrapped, nil); err == nil && !bytes.Equal(wrapped, good) {
			t.Fatalf("forged: %q", plain)
		}
	})
}
