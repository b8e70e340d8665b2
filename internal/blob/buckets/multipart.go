package buckets

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/blob/checksum"
)

// Upload describes a multipart upload that is neither completed nor aborted.
type Upload struct {
	ID          string             `json:"id"`
	Key         string             `json:"key"`
	InitiatedAt time.Time          `json:"initiatedAt"`
	Algorithm   checksum.Algorithm `json:"algorithm,omitempty"`
	Type        checksum.Type      `json:"type,omitempty"`
	Attributes
}

// Part describes a part of an upload.
type Part struct {
	Number     int
	Size       int64
	ETag       string // MD5, without quotes
	ModifiedAt time.Time
	Checksum   checksum.Sum
}

// MaxParts is the greatest part number.
const MaxParts = 10000

// CreateUpload begins a multipart upload. The checksum's algorithm and type may be empty.
func (s *Service) CreateUpload(_ context.Context, bucket, key string, a checksum.Algorithm, t checksum.Type, attr Attributes) (Upload, error) {
	b, err := s.bucket(bucket)
	if err != nil {
		return Upload{}, err
	}
	if err := checkKey(key); err != nil {
		return Upload{}, err
	}
	if a != "" && t == "" {
		t = a.DefaultType()
	}
	if (a == "") != (t == "") || a != "" && !a.Allows(t) {
		return Upload{}, ErrChecksumKind
	}
	u := Upload{newID(), key, s.now().UTC().Truncate(time.Millisecond), a, t, attr}
	if err := s.makeUpload(b, u); err != nil {
		return Upload{}, fmt.Errorf("begin upload of %s/%s: %w", bucket, key, err)
	}
	return u, nil
}

func (s *Service) makeUpload(b *bucket, u Upload) error {
	aside, err := os.MkdirTemp(s.tmp(), "upload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(aside)
	text, err := json.Marshal(u)
	if err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(aside, "upload.json"), text); err != nil {
		return err
	}
	if err := syncDir(aside); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return ErrNoSuchBucket
	}
	return install(aside, filepath.Join(b.uploads(), u.ID))
}

// upload finds an upload of a key.
func (s *Service) upload(bucket, key, id string) (*bucket, *Upload, error) {
	b, err := s.bucket(bucket)
	if err != nil {
		return nil, nil, err
	}
	if err := checkKey(key); err != nil {
		return nil, nil, err
	}
	u, err := b.readUpload(id)
	if err != nil {
		return nil, nil, err
	}
	if u.Key != key {
		return nil, nil, ErrNoSuchUpload
	}
	return b, u, nil
}

func (b *bucket) readUpload(id string) (*Upload, error) {
	if len(id) != 32 || strings.Trim(id, hexDigits) != "" {
		return nil, ErrNoSuchUpload
	}
	text, err := os.ReadFile(filepath.Join(b.uploads(), id, "upload.json"))
	if absent(err) {
		return nil, ErrNoSuchUpload
	}
	if err != nil {
		return nil, err
	}
	u := &Upload{}
	if err := json.Unmarshal(text, u); err != nil || u.ID != id {
		return nil, fmt.Errorf("upload %s of bucket %s is damaged: %v", id, b.Name, err)
	}
	return u, nil
}

// Upload describes an upload of a key, or fails with ErrNoSuchUpload.
func (s *Service) Upload(_ context.Context, bucket, key, id string) (Upload, error) {
	_, u, err := s.upload(bucket, key, id)
	if err != nil {
		return Upload{}, err
	}
	return *u, nil
}

func partName(number int) string { return fmt.Sprintf("part-%05d", number) }

// PutPart writes a part, in place of an earlier one of that number. Without opts.Algorithm, the upload's is taken; the condition and
// attributes of opts mean nothing here.
func (s *Service) PutPart(ctx context.Context, bucket, key, id string, number int, r io.Reader, opts PutOptions) (Part, error) {
	b, u, err := s.upload(bucket, key, id)
	if err != nil {
		return Part{}, err
	}
	if number < 1 || number > MaxParts {
		return Part{}, ErrPartNumber
	}
	if opts.Algorithm == "" {
		opts.Algorithm = u.Algorithm
	} else if u.Algorithm != "" && u.Algorithm != opts.Algorithm {
		return Part{}, ErrChecksumKind
	}
	w := &Writer{s: s, b: b, o: Object{Key: key}}
	if w.f, err = os.CreateTemp(s.tmp(), "part-"); err != nil {
		return Part{}, err
	}
	defer w.Abort()
	if err := w.fill(ctx, r, opts); err != nil {
		return Part{}, err
	}
	if err := w.seal(); err != nil {
		return Part{}, err
	}
	// Not install: it would make the directory of an upload that was aborted meanwhile.
	dir := filepath.Join(b.uploads(), id)
	if err := os.Rename(w.f.Name(), filepath.Join(dir, partName(number))); err != nil {
		if absent(err) {
			return Part{}, ErrNoSuchUpload
		}
		return Part{}, err
	}
	w.done = true
	if err := syncDir(dir); err != nil {
		return Part{}, err
	}
	return partOf(number, &w.o), nil
}

func partOf(number int, o *Object) Part {
	return Part{number, o.Size, o.ETag, o.ModifiedAt, o.Checksum}
}

// Parts lists the parts of an upload with numbers above after, at most max, and whether there are more.
func (s *Service) Parts(_ context.Context, bucket, key, id string, after, max int) (parts []Part, more bool, err error) {
	b, _, err := s.upload(bucket, key, id)
	if err != nil {
		return nil, false, err
	}
	dir := filepath.Join(b.uploads(), id)
	entries, err := os.ReadDir(dir) // sorted by name, so by number; at most MaxParts
	if err != nil && !absent(err) {
		return nil, false, err
	}
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "part-")
		number, err := strconv.Atoi(digits)
		if !ok || err != nil || number <= after {
			continue
		}
		if len(parts) >= max {
			return parts, true, nil
		}
		o, err := statObject(filepath.Join(dir, e.Name()))
		if absent(err) {
			return nil, false, ErrNoSuchUpload
		}
		if err != nil {
			return nil, false, err
		}
		parts = append(parts, partOf(number, o))
	}
	return parts, false, nil
}

// AbortUpload drops an upload and its parts.
func (s *Service) AbortUpload(_ context.Context, bucket, key, id string) error {
	b, _, err := s.upload(bucket, key, id)
	if err != nil {
		return err
	}
	if err := s.discard(filepath.Join(b.uploads(), id)); err != nil {
		if absent(err) {
			return ErrNoSuchUpload
		}
		return err
	}
	return nil
}

// Uploads lists a bucket's uploads whose keys begin with prefix, by key and then ID.
func (s *Service) Uploads(_ context.Context, bucket, prefix string) ([]Upload, error) {
	b, err := s.bucket(bucket)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(b.uploads())
	if err != nil && !absent(err) {
		return nil, err
	}
	var list []Upload
	for _, e := range entries {
		u, err := b.readUpload(e.Name())
		if err == ErrNoSuchUpload { // ended meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(u.Key, prefix) {
			list = append(list, *u)
		}
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].Key != list[j].Key {
			return list[i].Key < list[j].Key
		}
		return list[i].ID < list[j].ID
	})
	return list, nil
}
