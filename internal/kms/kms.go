// Package kms wraps data keys under keys that somebody else guards: a local ring of keys in one file, AWS KMS, or the
// Transit engine of Vault and OpenBao.
package kms

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/keyframe/keyframe/internal/resource"
)

// MaxPlaintext is the most that Wrap takes, in bytes: that of AWS KMS.
const MaxPlaintext = 4096

// Provider wraps and unwraps small secrets. All methods are safe for concurrent use.
//
// A key that cannot be used is a *resource.Error of kind InvalidKey about the parameter KmsKeyId; any other error is a
// failure of the provider.
type Provider interface {
	// Resolve turns what a user names (key id, key ARN, alias, alias ARN, or "" for the service's default key) into the
	// key's ARN, and refuses a key that is unknown, disabled or of another account or region. service is a signing name.
	Resolve(ctx context.Context, s resource.Scope, service, ref string) (keyARN string, err error)
	// Wrap encrypts plaintext (at most MaxPlaintext bytes) and binds kctx to it: Unwrap needs the same.
	Wrap(ctx context.Context, keyARN string, plaintext []byte, kctx map[string]string) ([]byte, error)
	// Unwrap is the inverse of Wrap.
	Unwrap(ctx context.Context, keyARN string, wrapped []byte, kctx map[string]string) ([]byte, error)
	// Check reports whether the key can be used now.
	Check(ctx context.Context, keyARN string) error
}

// Secret is a string that never prints.
type Secret = resource.Secret

// DefaultAlias is the alias of the key that a service uses when none is named.
func DefaultAlias(service string) string { return "alias/aws/" + service }

// keyARN is the ARN of a key by its id.
func keyARN(s resource.Scope, id string) string {
	return resource.ARN{Partition: resource.Partition(s.Region), Service: "kms", Region: s.Region, Account: s.Account, Type: "key", Name: id}.String()
}

func aliasARN(s resource.Scope, alias string) string {
	return "arn:" + resource.Partition(s.Region) + ":kms:" + s.Region + ":" + s.Account + ":" + alias
}

// invalid is the refusal of a key, worded as AWS KMS words it.
func invalid(format string, args ...any) error {
	return resource.Errorf(resource.InvalidKey, resource.TypeParameter, "KmsKeyId", format, args...)
}

// canonical encodes a context so that equal maps, and only they, give equal bytes: sorted pairs, each string behind its length.
func canonical(kctx map[string]string) []byte {
	var out []byte
	for _, k := range slices.Sorted(maps.Keys(kctx)) {
		for _, s := range []string{k, kctx[k]} {
			out = binary.BigEndian.AppendUint32(out, uint32(len(s)))
			out = append(out, s...)
		}
	}
	return out
}
