package buckets

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	"github.com/keyframe/keyframe/internal/blob/checksum"
)

// Attributes are what a writer says about an object besides its bytes.
type Attributes struct {
	ContentType        string            `json:"contentType,omitempty"`
	CacheControl       string            `json:"cacheControl,omitempty"`
	ContentDisposition string            `json:"contentDisposition,omitempty"`
	ContentEncoding    string            `json:"contentEncoding,omitempty"`
	ContentLanguage    string            `json:"contentLanguage,omitempty"`
	Expires            string            `json:"expires,omitempty"`
	Meta               map[string]string `json:"meta,omitempty"` // user metadata; names in lower case, without x-amz-meta-
}

// Object describes an object.
type Object struct {
	Key        string    `json:"key"`
	Size       int64     `json:"-"`
	ETag       string    `json:"etag"` // without quotes: MD5, or something with -N at its end
	ModifiedAt time.Time `json:"modifiedAt"`
	Attributes
	Checksum checksum.Sum `json:"checksum,omitzero"`
	Parts    PartSizes    `json:"parts,omitempty"`  // of a multipart upload
	Upload   string       `json:"upload,omitempty"` // ID of that upload
}

// PartSizes are the sizes of parts in order, as runs of {size, count}: all but the last are usually alike.
type PartSizes [][2]int64

// Add appends a part.
func (p PartSizes) Add(size int64) PartSizes {
	if n := len(p); n > 0 && p[n-1][0] == size {
		p[n-1][1]++
		return p
	}
	return append(p, [2]int64{size, 1})
}

// Count is the number of parts.
func (p PartSizes) Count() int {
	var n int64
	for _, run := range p {
		n += run[1]
	}
	return int(n)
}

// Range is where part n, counted from 1, lies. It reports false if there is none.
func (p PartSizes) Range(n int) (off, size int64, ok bool) {
	left := int64(n - 1)
	for _, run := range p {
		if left >= 0 && left < run[1] {
			return off + left*run[0], run[0], true
		}
		left -= run[1]
		off += run[0] * run[1]
	}
	return 0, 0, false
}

// The file of an object is its bytes, its description in JSON, and a footer of 20 bytes, big-endian:
// size of the bytes (8), length of the description (4), CRC-32C of both numbers and the description (4), magic (4).
const (
	footerSize     = 20
	footerMagic    = "KFo1"
	maxDescription = 1 << 20
)

var errNotObject = errors.New("not the file of an object")

var footerTable = crc32.MakeTable(crc32.Castagnoli)

// tail is what follows the bytes of an object.
func tail(o *Object) ([]byte, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	if len(text) > maxDescription {
		return nil, fmt.Errorf("the description of %q has %d bytes", o.Key, len(text))
	}
	b := append([]byte(nil), text...)
	b = binary.BigEndian.AppendUint64(b, uint64(o.Size))
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, footerTable))
	return append(b, footerMagic...), nil
}

// readTail reads the description from a file of the given size.
func readTail(f io.ReaderAt, size int64) (*Object, error) {
	if size < footerSize {
		return nil, errNotObject
	}
	// Most descriptions are short: one read takes description and footer.
	first := min(size, 1024)
	b := make([]byte, first)
	if _, err := f.ReadAt(b, size-first); err != nil {
		return nil, err
	}
	footer := b[len(b)-footerSize:]
	data, length := int64(binary.BigEndian.Uint64(footer)), int64(binary.BigEndian.Uint32(footer[8:]))
	if string(footer[16:]) != footerMagic || length > maxDescription || data < 0 || data != size-footerSize-length {
		return nil, errNotObject
	}
	if need := length + footerSize; need > first {
		b = make([]byte, need)
		if _, err := f.ReadAt(b, data); err != nil {
			return nil, err
		}
	} else {
		b = b[first-need:]
	}
	if crc32.Checksum(b[:length+12], footerTable) != binary.BigEndian.Uint32(b[length+12:]) {
		return nil, errNotObject
	}
	o := &Object{}
	if err := json.Unmarshal(b[:length], o); err != nil {
		return nil, errNotObject
	}
	o.Size = data
	return o, nil
}

// openObject opens the file of an object or a part.
func openObject(path string) (*os.File, *Object, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	o, err := readTail(f, info.Size())
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, o, nil
}

func statObject(path string) (*Object, error) {
	f, o, err := openObject(path)
	if err != nil {
		return nil, err
	}
	return o, f.Close()
}
