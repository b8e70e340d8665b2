package snapstore

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/resource"
)

// envelope is manifest.json. The MAC covers the bytes of the member manifest exactly as they stand in the file: nothing has
// to be brought into a canonical form.
type envelope struct {
	MAC      string          `json:"mac"` // hexadecimal HMAC-SHA256
	Manifest json.RawMessage `json:"manifest"`
}

// keyContext is what a data key is bound to when it is wrapped.
func keyContext(m *Manifest) map[string]string {
	return map[string]string{"keyframe:snapshot": m.SnapshotID, "keyframe:capture": m.CaptureID}
}

// WriteManifest makes the snapshot exist. It sets Format and Key.Context, wraps the data key under Key.ARN, authenticates
// the manifest and writes it durably. All parts must have been closed before. It fails with blob.ErrExists when the
// snapshot exists already, and with a plain error when m is not complete.
func (s *Store) WriteManifest(ctx context.Context, m *Manifest, key DataKey) error {
	if key.bytes == nil {
		return errNoKey
	}
	m.Format = m.format()
	m.Key.Context = keyContext(m)
	if err := m.check(); err != nil {
		return fmt.Errorf("snapshot %s: %w", m.SnapshotID, err)
	}
	wrapped, err := s.keys.Wrap(ctx, m.Key.ARN, key.bytes[:], m.Key.Context)
	if err != nil {
		return fmt.Errorf("wrap data key of snapshot %s: %w", m.SnapshotID, err)
	}
	m.Key.Wrapped = wrapped
	data, err := m.encode(key)
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", m.SnapshotID, err)
	}
	if len(data) > maxManifest {
		return fmt.Errorf("snapshot %s: manifest of %d bytes", m.SnapshotID, len(data))
	}
	return blob.Put(ctx, s.bucket, ManifestKey(m.SnapshotID), data, blob.CreateOptions{IfAbsent: true})
}

func (m *Manifest) encode(key DataKey) ([]byte, error) {
	body, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, err
	}
	mac, err := key.mac(body)
	if err != nil {
		return nil, err
	}
	m.body, m.mac = body, mac
	return m.file(), nil
}

// file is manifest.json of a manifest that was read or written.
func (m *Manifest) file() []byte {
	return fmt.Appendf(nil, "{\"mac\":\"%x\",\n\"manifest\":%s}\n", m.mac, m.body)
}

// ReadManifest reads and checks a manifest's structure; Unlock proves that it is genuine. Errors: blob.ErrNotFound,
// ErrCorrupt (a format that this build does not know is a plain error).
func (s *Store) ReadManifest(ctx context.Context, snapshot string) (*Manifest, error) {
	if err := checkID("snapshot", snapshot); err != nil {
		return nil, fmt.Errorf("%w: %w", blob.ErrNotFound, err)
	}
	data, err := blob.Get(ctx, s.bucket, ManifestKey(snapshot), maxManifest)
	if err != nil {
		return nil, err
	}
	m, err := ParseManifest(data)
	var unknown *unknownFormat
	switch {
	case errors.As(err, &unknown):
		return nil, fmt.Errorf("snapshot %s: %w", snapshot, err)
	case err != nil:
		return nil, &CorruptError{Snapshot: snapshot, Reason: "manifest", Cause: err}
	case m.SnapshotID != snapshot:
		return nil, &CorruptError{Snapshot: snapshot, Reason: "the manifest is that of snapshot " + m.SnapshotID}
	}
	return m, nil
}

type unknownFormat struct{ version int }

func (e *unknownFormat) Error() string {
	return fmt.Sprintf("manifest of format %d, this build knows %d: a newer Keyframe wrote it", e.version, FormatVersion)
}

// ParseManifest decodes the bytes of manifest.json. Members that it does not know are refused, but those of source: a
// writer that adds one elsewhere takes the next format version, since what a reader overlooks it would restore wrongly.
func ParseManifest(data []byte) (*Manifest, error) {
	if len(data) > maxManifest {
		return nil, fmt.Errorf("%d bytes", len(data))
	}
	var e envelope
	if err := strict(data, &e); err != nil {
		return nil, err
	}
	mac, err := hex.DecodeString(e.MAC)
	if err != nil || len(mac) != 32 {
		return nil, errors.New("no MAC")
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(e.Manifest, &version); err != nil {
		return nil, err
	}
	if version.Format > FormatVersion {
		return nil, &unknownFormat{version.Format}
	}
	type plain Manifest
	var with struct {
		plain
		Source json.RawMessage `json:"source"` // hides the typed member: it is decoded without strictness
	}
	if err := strict(e.Manifest, &with); err != nil {
		return nil, err
	}
	m := Manifest(with.plain)
	m.Source = resource.Cache{}
	if len(with.Source) > 0 {
		if err := json.Unmarshal(with.Source, &m.Source); err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
	}
	m.body, m.mac = e.Manifest, mac
	return &m, m.check()
}

func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("bytes after the end")
	}
	return nil
}

// Unlock unwraps the data key and proves with it that the manifest is as it was written. m must come from ReadManifest,
// ParseManifest or WriteManifest. Errors: those of the key service, ErrCorrupt.
func (s *Store) Unlock(ctx context.Context, m *Manifest) (DataKey, error) {
	plain, err := s.keys.Unwrap(ctx, m.Key.ARN, m.Key.Wrapped, m.Key.Context)
	if err != nil {
		return DataKey{}, fmt.Errorf("unwrap data key of snapshot %s: %w", m.SnapshotID, err)
	}
	key, err := dataKeyOf(plain)
	if err != nil {
		return DataKey{}, &CorruptError{Snapshot: m.SnapshotID, Reason: "data key", Cause: err}
	}
	mac, err := key.mac(m.body)
	if err != nil {
		return DataKey{}, err
	}
	if len(m.body) == 0 || !hmac.Equal(mac, m.mac) {
		return DataKey{}, &CorruptError{Snapshot: m.SnapshotID, Reason: "the manifest was changed: its MAC does not match"}
	}
	return key, nil
}
