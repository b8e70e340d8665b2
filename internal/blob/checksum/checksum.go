// Package checksum knows the object checksums of S3: their names, how to compute them, and how those of parts make that of an object.
package checksum

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strconv"
	"strings"
)

// Algorithm is an S3 checksum algorithm as the API names it. Empty means none.
type Algorithm string

const (
	CRC32     Algorithm = "CRC32"
	CRC32C    Algorithm = "CRC32C"
	CRC64NVME Algorithm = "CRC64NVME"
	SHA1      Algorithm = "SHA1"
	SHA256    Algorithm = "SHA256"
)

// Algorithms lists every algorithm.
func Algorithms() []Algorithm { return []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256} }

// Type says what a checksum of a multipart object covers.
type Type string

const (
	FullObject Type = "FULL_OBJECT" // the object's bytes
	Composite  Type = "COMPOSITE"   // the checksums of its parts
)

// Sum is a checksum as S3 shows it.
type Sum struct {
	Algorithm Algorithm `json:"algorithm,omitempty"`
	Type      Type      `json:"type,omitempty"`
	Value     string    `json:"value,omitempty"` // base64, followed by -N when composite
}

// The tables are shared: making the one for CRC64NVME takes longer than summing a small object.
var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	nvme       = crc64.MakeTable(nvmePoly)
)

// nvmePoly is CRC-64/NVME, reflected.
const nvmePoly = 0x9a6c9329ac4bc9b5

// Parse reads an algorithm's name in any case.
func Parse(s string) (Algorithm, bool) {
	a := Algorithm(strings.ToUpper(s))
	return a, a.New() != nil
}

// New is a fresh hash, or nil for an unknown algorithm.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(castagnoli)
	case CRC64NVME:
		return crc64.New(nvme)
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	}
	return nil
}

// Header is the HTTP header, or trailer, that carries the checksum.
func (a Algorithm) Header() string { return "X-Amz-Checksum-" + strings.ToLower(string(a)) }

// DefaultType is what a multipart upload gets when its creator does not say.
func (a Algorithm) DefaultType() Type {
	if a == CRC64NVME {
		return FullObject
	}
	return Composite
}

// Allows reports whether multipart objects can have this kind of checksum.
func (a Algorithm) Allows(t Type) bool {
	switch t {
	case FullObject:
		return a == CRC32 || a == CRC32C || a == CRC64NVME
	case Composite:
		return a != CRC64NVME
	}
	return false
}

// Encode is the text form of raw checksum bytes.
func Encode(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

// Part is what the checksum of a multipart object is made from.
type Part struct {
	Raw  []byte // the part's checksum
	Size int64
}

// Combine makes the checksum of an object from those of its parts.
func Combine(a Algorithm, t Type, parts []Part) Sum {
	if t == FullObject {
		return Sum{a, t, Encode(fullObject(a, parts))}
	}
	h := a.New()
	for _, p := range parts {
		h.Write(p.Raw)
	}
	return Sum{a, Composite, Encode(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))}
}
