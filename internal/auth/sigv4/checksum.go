package sigv4

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strings"
	"sync"
)

// nvmeTable is CRC-64/NVME's polynomial, reflected.
var nvmeTable = sync.OnceValue(func() *crc64.Table { return crc64.MakeTable(0x9a6c9329ac4bc9b5) })

// NewChecksum returns the hash behind an S3 checksum header such as x-amz-checksum-crc32c, or nil for a name that is not
// one. Its Sum in standard base64 is the value of the header.
func NewChecksum(header string) hash.Hash {
	algorithm, ok := strings.CutPrefix(strings.ToLower(header), "x-amz-checksum-")
	if !ok {
		return nil
	}
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		return crc64.New(nvmeTable())
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	case "sha512":
		return sha512.New()
	case "md5":
		return md5.New()
	}
	return nil
}
