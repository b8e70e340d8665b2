package kms

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/keyframe/keyframe/internal/resource"
)

// ring is the content of the key ring's file.
type ring struct {
	Format int          `json:"format"`
	Keys   []*storedKey `json:"keys"`

	info fs.FileInfo // of the file that it was read from; nil when there was none
}

// find resolves what a user names within a scope: a key's id or ARN, an alias or its ARN.
func (r *ring) find(s resource.Scope, ref string) (*storedKey, error) {
	if rest, ok := strings.CutPrefix(ref, "arn:"); ok {
		part := strings.SplitN(rest, ":", 5)
		if len(part) != 5 || part[1] != "kms" || !strings.HasPrefix(part[4], "key/") && !strings.HasPrefix(part[4], "alias/") {
			return nil, invalid("Invalid arn %s", ref)
		}
		if part[2] != s.Region || part[0] != resource.Partition(s.Region) {
			return nil, invalid("Invalid arn %s", part[2])
		}
		if part[3] != s.Account {
			return nil, invalid("Key '%s' does not exist", ref)
		}
		ref = strings.TrimPrefix(part[4], "key/")
	}
	for _, k := range r.Keys {
		if k.scope() == s && (k.ID == ref || slices.Contains(k.Aliases, ref)) {
			return k, nil
		}
	}
	if strings.HasPrefix(ref, "alias/") {
		return nil, invalid("Alias %s is not found.", aliasARN(s, ref))
	}
	return nil, invalid("Key '%s' does not exist", keyARN(s, ref))
}

// byARN finds a key by what Resolve returned.
func (r *ring) byARN(arn string) (*storedKey, error) {
	a, ok := resource.ParseARN(arn)
	if !ok || a.Service != "kms" || a.Type != "key" {
		return nil, invalid("Invalid arn %s", arn)
	}
	return r.find(resource.Scope{Account: a.Account, Region: a.Region}, arn)
}

func (k *storedKey) usable() error {
	if !k.Enabled {
		return invalid("%s is disabled.", keyARN(k.scope(), k.ID))
	}
	return nil
}

func (r *ring) check() error {
	if r.Format != 1 {
		return fmt.Errorf("format %d, this build knows 1", r.Format)
	}
	ids := map[string]bool{}
	for _, k := range r.Keys {
		if k == nil || k.ID == "" || ids[k.ID] || len(k.Versions) == 0 {
			return errors.New("a key without id or material, or one id twice")
		}
		ids[k.ID] = true
		for _, m := range k.Versions {
			if len(m) != 32 {
				return fmt.Errorf("key %s: material of %d bytes", k.ID, len(m))
			}
		}
	}
	return nil
}

// ringFile is where the ring lies.
type ringFile struct{ path string }

// unchanged tells whether the file is still the one that r came from. Every change replaces the file, so its identity tells.
func (f ringFile) unchanged(r *ring) bool {
	info, err := os.Stat(f.path)
	if err != nil {
		return r.info == nil && errors.Is(err, fs.ErrNotExist)
	}
	return r.info != nil && os.SameFile(info, r.info) && info.ModTime().Equal(r.info.ModTime()) && info.Size() == r.info.Size()
}

func (f ringFile) read() (*ring, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return &ring{Format: 1}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read key ring: %w", err)
	}
	defer file.Close()
	r := &ring{}
	if r.info, err = file.Stat(); err != nil {
		return nil, fmt.Errorf("read key ring: %w", err)
	}
	if r.info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key ring %s may be read by others (mode %v): chmod 600", f.path, r.info.Mode().Perm())
	}
	d := json.NewDecoder(file)
	d.DisallowUnknownFields()
	err = d.Decode(r)
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return nil, fmt.Errorf("key ring %s: %w", f.path, err)
	}
	return r, nil
}

// lock keeps other processes and goroutines from changing the ring. Readers do not need it.
func (f ringFile) lock() (unlock func(), err error) {
	if err := makeDir(filepath.Dir(f.path)); err != nil {
		return nil, fmt.Errorf("lock key ring: %w", err)
	}
	file, err := os.OpenFile(f.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock key ring: %w", err)
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock key ring: %w", err)
	}
	return func() { file.Close() }, nil
}

// write replaces the file: a reader sees the old ring or the new one, and so does a start after a power cut.
func (f ringFile) write(r *ring) error {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetIndent("", "  ")
	if err := errors.Join(r.check(), e.Encode(r)); err != nil {
		return fmt.Errorf("write key ring: %w", err)
	}
	temp := f.path + "." + rand.Text()
	err := writeSynced(temp, buf.Bytes())
	if err == nil {
		err = os.Rename(temp, f.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(f.path))
	}
	if err != nil {
		os.Remove(temp)
		return fmt.Errorf("write key ring: %w", err)
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
