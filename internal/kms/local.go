package kms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/keyframe/keyframe/internal/resource"
)

// Material is the secret of one version of a key. It never prints, but into the key ring itself.
type material []byte

func (material) String() string       { return "[secret]" }
func (material) GoString() string     { return "[secret]" }
func (material) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Key describes a key of the local ring.
type Key struct {
	ID          string
	Account     string
	Region      string
	Aliases     []string // such as alias/mine
	Enabled     bool
	Description string
	CreatedAt   time.Time
	Versions    int // the last one wraps, all unwrap
}

// ARN is the key's ARN.
func (k *Key) ARN() string { return keyARN(resource.Scope{Account: k.Account, Region: k.Region}, k.ID) }

// storedKey is a key as the file holds it.
type storedKey struct {
	ID          string     `json:"id"`
	Account     string     `json:"account"`
	Region      string     `json:"region"`
	Aliases     []string   `json:"aliases,omitempty"`
	Enabled     bool       `json:"enabled"`
	Description string     `json:"description,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	Versions    []material `json:"versions"` // AES-256 keys; the version's number is its position from 1
}

func (k *storedKey) scope() resource.Scope {
	return resource.Scope{Account: k.Account, Region: k.Region}
}

func (k *storedKey) public() Key {
	return Key{ID: k.ID, Account: k.Account, Region: k.Region, Aliases: slices.Clone(k.Aliases), Enabled: k.Enabled,
		Description: k.Description, CreatedAt: k.CreatedAt, Versions: len(k.Versions)}
}

// Local is a ring of keys in one file, DIR/kms/keyring.json. Several processes may use it: a change takes a lock on the
// file's neighbour, and a reader notices that the file was replaced.
type Local struct {
	file ringFile
	now  func() time.Time
	mu   sync.Mutex
	ring *ring // as last read
}

var _ Provider = (*Local)(nil)

// OpenLocal opens the ring below the data directory dir; the file appears with the first key. now is the clock, nil for the
// machine's.
func OpenLocal(dir string, now func() time.Time) (*Local, error) {
	if now == nil {
		now = time.Now
	}
	l := &Local{file: ringFile{filepath.Join(dir, "kms", "keyring.json")}, now: now}
	_, err := l.load()
	return l, err
}

// load gives the ring as it is on the disk now.
func (l *Local) load() (*ring, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ring != nil && l.file.unchanged(l.ring) {
		return l.ring, nil
	}
	r, err := l.file.read()
	if err != nil {
		return nil, err
	}
	l.ring = r
	return r, nil
}

// change runs fn on a fresh copy of the ring under the lock, and writes what it leaves unless it fails.
func (l *Local) change(fn func(*ring) error) error {
	unlock, err := l.file.lock()
	if err != nil {
		return err
	}
	defer unlock()
	r, err := l.file.read()
	if err != nil {
		return err
	}
	if err := fn(r); err != nil {
		return err
	}
	return l.file.write(r)
}

func newKey(s resource.Scope, description string, now time.Time, aliases ...string) *storedKey {
	return &storedKey{ID: uuid.NewString(), Account: s.Account, Region: s.Region, Aliases: aliases, Enabled: true, Description: description,
		CreatedAt: now.UTC(), Versions: []material{newMaterial()}}
}

func newMaterial() material {
	m := make(material, 32)
	rand.Read(m)
	return m
}

// Resolve implements Provider. The default key of a service is made when it is first needed.
func (l *Local) Resolve(_ context.Context, s resource.Scope, service, ref string) (string, error) {
	r, err := l.load()
	if err != nil {
		return "", err
	}
	if ref == "" {
		ref = DefaultAlias(service)
		if _, err := r.find(s, ref); err != nil {
			return l.makeDefault(s, service)
		}
	}
	k, err := r.find(s, ref)
	if err != nil {
		return "", err
	}
	return keyARN(s, k.ID), k.usable()
}

func (l *Local) makeDefault(s resource.Scope, service string) (arn string, err error) {
	err = l.change(func(r *ring) error {
		k, err := r.find(s, DefaultAlias(service))
		if err != nil {
			k = newKey(s, "Default key of "+service, l.now(), DefaultAlias(service))
			r.Keys = append(r.Keys, k)
		}
		arn = keyARN(s, k.ID)
		return k.usable()
	})
	return arn, err
}

// Check implements Provider.
func (l *Local) Check(_ context.Context, arn string) error {
	_, err := l.byARN(arn)
	return err
}

func (l *Local) byARN(arn string) (*storedKey, error) {
	r, err := l.load()
	if err != nil {
		return nil, err
	}
	k, err := r.byARN(arn)
	if err != nil {
		return nil, err
	}
	return k, k.usable()
}

// A wrapped secret is: magic, version of the key (4 bytes, big endian), nonce, AES-256-GCM. The ARN and the context are
// associated data.
const wrapMagic = "KFW1"

var errUnwrap = errors.New("the wrapped key does not belong to this KMS key and context, or was changed")

func gcm(m material) (cipher.AEAD, error) {
	b, err := aes.NewCipher(m)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(b)
}

func bound(arn string, kctx map[string]string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(arn))), append([]byte(arn), canonical(kctx)...)...)
}

// Wrap implements Provider.
func (l *Local) Wrap(_ context.Context, arn string, plaintext []byte, kctx map[string]string) ([]byte, error) {
	if len(plaintext) == 0 || len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("wrap: %d bytes", len(plaintext))
	}
	k, err := l.byARN(arn)
	if err != nil {
		return nil, err
	}
	aead, err := gcm(k.Versions[len(k.Versions)-1])
	if err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint32([]byte(wrapMagic), uint32(len(k.Versions)))
	return append(head, aead.Seal(nil, nil, plaintext, bound(arn, kctx))...), nil
}

// Unwrap implements Provider.
func (l *Local) Unwrap(_ context.Context, arn string, wrapped []byte, kctx map[string]string) ([]byte, error) {
	k, err := l.byARN(arn)
	if err != nil {
		return nil, err
	}
	rest, ok := strings.CutPrefix(string(wrapped), wrapMagic)
	if !ok || len(rest) < 4 {
		return nil, errUnwrap
	}
	version := binary.BigEndian.Uint32([]byte(rest[:4]))
	if version == 0 || uint64(version) > uint64(len(k.Versions)) {
		return nil, errUnwrap
	}
	aead, err := gcm(k.Versions[version-1])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, []byte(rest[4:]), bound(arn, kctx))
	if err != nil {
		return nil, errUnwrap
	}
	return plain, nil
}
