package snapstore

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"
)

// dataKeySize is the length of a data key in bytes.
const dataKeySize = 32

// Purposes that keys are derived for; docs/snapshot-format.md lists them.
const (
	purposeParts    = "keyframe/1 part"
	purposeManifest = "keyframe/1 manifest"
	purposeReport   = "keyframe/1 report"
)

// DataKey is the secret that seals one capture's parts and report and authenticates the manifests over it. It never prints. The
// zero value is no key.
type DataKey struct{ bytes *[dataKeySize]byte } // behind a pointer: fmt walks into fields of others without asking String

// NewDataKey makes a random key.
func NewDataKey() DataKey {
	k := new([dataKeySize]byte)
	rand.Read(k[:])
	return DataKey{k}
}

func dataKeyOf(b []byte) (DataKey, error) {
	if len(b) != dataKeySize {
		return DataKey{}, fmt.Errorf("a data key of %d bytes, want %d", len(b), dataKeySize)
	}
	return DataKey{(*[dataKeySize]byte)(b)}, nil
}

func (DataKey) String() string               { return "[secret]" }
func (DataKey) GoString() string             { return "[secret]" }
func (DataKey) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }
func (DataKey) LogValue() slog.Value         { return slog.StringValue("[secret]") }

var errNoKey = errors.New("no data key was given")

// derive gives an independent key for a purpose: HKDF-SHA256 without salt.
func (k DataKey) derive(purpose string) ([]byte, error) {
	if k.bytes == nil {
		return nil, errNoKey
	}
	return hkdf.Key(sha256.New, k.bytes[:], nil, purpose, dataKeySize)
}

// sealer is the streaming AEAD for parts.
func (k DataKey) sealer() (*subtle.AESGCMHKDF, error) {
	main, err := k.derive(purposeParts)
	if err != nil {
		return nil, err
	}
	return subtle.NewAESGCMHKDF(main, "SHA256", 32, segmentSize, 0)
}

// mac authenticates a manifest's bytes.
func (k DataKey) mac(body []byte) ([]byte, error) {
	key, err := k.derive(purposeManifest)
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, key)
	h.Write(body)
	return h.Sum(nil), nil
}
