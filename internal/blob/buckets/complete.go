package buckets

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/keyframe/keyframe/internal/blob/checksum"
)

// MinPart is the least size of a part that is not the last.
const MinPart = 5 << 20

// CompletePart names a part that an object is made of.
type CompletePart struct {
	Number   int
	ETag     string // without quotes
	Checksum string // base64; empty when the client did not say
}

// CompleteOptions are those of CompleteUpload.
type CompleteOptions struct {
	Condition
	Type     checksum.Type // that the client believes the upload to have; empty when it did not say
	Checksum string        // of the whole object as the client computed it; empty when it did not say
	Size     int64         // likewise; negative when it did not say
}

// CompleteUpload makes an object of an upload's parts. Repeating it after it succeeded is fine as long as the object is still the one.
func (s *Service) CompleteUpload(ctx context.Context, bucket, key, id string, parts []CompletePart, opts CompleteOptions) (Object, error) {
	b, u, err := s.upload(bucket, key, id)
	if err == ErrNoSuchUpload && id != "" {
		if o, headErr := s.Head(ctx, bucket, key); headErr == nil && o.Upload == id {
			return o, nil
		}
	}
	if err != nil {
		return Object{}, err
	}
	dir := filepath.Join(b.uploads(), id)
	o, err := plan(dir, u, parts)
	if err != nil {
		return Object{}, err
	}
	if opts.Type != "" && opts.Type != o.Checksum.Type ||
		opts.Checksum != "" && opts.Checksum != o.Checksum.Value ||
		opts.Size >= 0 && opts.Size != o.Size {
		return Object{}, ErrChecksumKind
	}
	w, err := s.begin(ctx, bucket, key, CreateOptions{opts.Condition, u.Attributes})
	if err != nil {
		return Object{}, err
	}
	defer w.Abort()
	w.o = *o
	for _, p := range parts {
		if err := ctx.Err(); err != nil {
			return Object{}, err
		}
		if err := appendPart(w.f, dir, p); err != nil {
			return Object{}, err
		}
	}
	if err := w.Commit(); err != nil {
		return Object{}, err
	}
	// The object is there whatever becomes of the parts: they are dropped by a retry or an abort at the latest.
	_ = s.discard(dir)
	return w.o, nil
}

// plan checks the parts and describes the object that they make.
func plan(dir string, u *Upload, parts []CompletePart) (*Object, error) {
	if len(parts) == 0 {
		return nil, ErrInvalidPart
	}
	for i, p := range parts {
		if i > 0 && p.Number <= parts[i-1].Number {
			return nil, ErrPartOrder
		}
	}
	o := &Object{Key: u.Key, Attributes: u.Attributes, Upload: u.ID}
	md := md5.New()
	var sums []checksum.Part
	small := false
	for i, p := range parts {
		if p.Number < 1 || p.Number > MaxParts {
			return nil, ErrInvalidPart
		}
		have, err := statObject(filepath.Join(dir, partName(p.Number)))
		if absent(err) {
			return nil, ErrInvalidPart
		}
		if err != nil {
			return nil, err
		}
		if have.ETag != p.ETag || p.Checksum != "" && have.Checksum.Value != p.Checksum {
			return nil, ErrInvalidPart
		}
		small = small || i < len(parts)-1 && have.Size < MinPart
		if have.Size > MaxObject-o.Size {
			return nil, ErrObjectTooLong
		}
		raw, _ := hex.DecodeString(have.ETag)
		md.Write(raw)
		sum, _ := base64.StdEncoding.DecodeString(have.Checksum.Value)
		sums = append(sums, checksum.Part{Raw: sum, Size: have.Size})
		o.Size += have.Size
		o.Parts = o.Parts.Add(have.Size)
	}
	if small {
		return nil, ErrPartTooSmall
	}
	o.ETag = hex.EncodeToString(md.Sum(nil)) + "-" + strconv.Itoa(len(parts))
	if u.Algorithm != "" {
		o.Checksum = checksum.Combine(u.Algorithm, u.Type, sums)
	}
	return o, nil
}

// appendPart copies a part's bytes, unless the part was replaced since the plan was made.
func appendPart(f *os.File, dir string, p CompletePart) error {
	part, have, err := openObject(filepath.Join(dir, partName(p.Number)))
	if absent(err) {
		return ErrNoSuchUpload
	}
	if err != nil {
		return err
	}
	defer part.Close()
	if have.ETag != p.ETag {
		return ErrInvalidPart
	}
	// Both ends are files: the kernel copies, or shares the blocks.
	_, err = io.CopyN(f, part, have.Size)
	return err
}
