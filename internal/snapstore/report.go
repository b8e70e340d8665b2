package snapstore

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// ErrNoReport says that nothing was counted when the snapshot was captured: an older Keyframe took it.
var ErrNoReport = errors.New("the snapshot has no report of its key space")

// SealedReport is where a manifest names the report of the key space: names of keys are data, and so the report is sealed like parts.
type SealedReport struct {
	Format      int    `json:"format"`       // of the JSON: 1
	PlainBytes  int64  `json:"plain_bytes"`  // of the JSON
	StoredBytes int64  `json:"stored_bytes"` // of the object
	SHA256      string `json:"sha256"`       // of the object, hexadecimal
}

const (
	reportFormat    = 1        // of the JSON, the newest that is known
	reportVersion   = 1        // of the seal
	reportName      = "report" // no shard is called so
	reportAAD       = "keyframe report\x00"
	maxStoredReport = keyspace.MaxReport + keyspace.MaxReport/8 + 4096 // if it does not compress
)

// ReportKey is where the report of a capture lies in the bucket.
func ReportKey(capture string) string { return captures + capture + "/" + reportName }

// associatedReport binds a sealed report to its capture.
func associatedReport(capture string) []byte {
	aad := binary.BigEndian.AppendUint32([]byte(reportAAD), reportVersion)
	aad = binary.BigEndian.AppendUint16(aad, uint16(len(capture)))
	return append(aad, capture...)
}

// reportSealer is the streaming AEAD for reports.
func (k DataKey) reportSealer() (*subtle.AESGCMHKDF, error) {
	main, err := k.derive(purposeReport)
	if err != nil {
		return nil, err
	}
	return subtle.NewAESGCMHKDF(main, "SHA256", 32, segmentSize, 0)
}

// WriteReport seals the report of the capture's key space and makes it durable. What it returns belongs into the manifest.
func (c *Capture) WriteReport(r *keyspace.Report) (*SealedReport, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("capture %s: report: %w", c.id, err)
	}
	if len(plain) > keyspace.MaxReport {
		return nil, fmt.Errorf("capture %s: report of %d bytes", c.id, len(plain))
	}
	var object bytes.Buffer
	if err := sealReport(&object, c.reports, c.id, plain); err != nil {
		return nil, fmt.Errorf("capture %s: report: %w", c.id, err)
	}
	sum := sha256.Sum256(object.Bytes())
	if err := blob.Put(c.ctx, c.s.bucket, ReportKey(c.id), object.Bytes(), blob.CreateOptions{IfAbsent: true}); err != nil {
		return nil, fmt.Errorf("capture %s: report: %w", c.id, err)
	}
	return &SealedReport{Format: reportFormat, PlainBytes: int64(len(plain)), StoredBytes: int64(object.Len()), SHA256: hex.EncodeToString(sum[:])}, nil
}

func sealReport(object io.Writer, aead *subtle.AESGCMHKDF, capture string, plain []byte) error {
	sealed, err := aead.NewEncryptingWriter(object, associatedReport(capture))
	if err != nil {
		return err
	}
	z := gzip.NewWriter(sealed)
	if _, err := z.Write(plain); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return sealed.Close()
}

// ReadReport reads what was counted when the snapshot was captured. Errors: ErrNoReport, ErrCorrupt, those of the bucket.
func (s *Store) ReadReport(ctx context.Context, m *Manifest, key DataKey) (*keyspace.Report, error) {
	if m.Report == nil {
		return nil, fmt.Errorf("snapshot %s: %w", m.SnapshotID, ErrNoReport)
	}
	if m.Report.Format > reportFormat {
		return nil, fmt.Errorf("snapshot %s: report of format %d, this build knows %d: a newer Keyframe wrote it", m.SnapshotID, m.Report.Format, reportFormat)
	}
	aead, err := key.reportSealer()
	if err != nil {
		return nil, err
	}
	bad := func(cause error, reason string) error {
		return &CorruptError{Snapshot: m.SnapshotID, Capture: m.CaptureID, Reason: "report: " + reason, Cause: cause}
	}
	object, err := blob.Get(ctx, s.bucket, ReportKey(m.CaptureID), maxStoredReport)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return nil, bad(err, "missing")
	case err != nil:
		return nil, err
	}
	if sum := sha256.Sum256(object); int64(len(object)) != m.Report.StoredBytes || hex.EncodeToString(sum[:]) != m.Report.SHA256 {
		return nil, bad(nil, "its length or SHA-256 does not match")
	}
	plain, err := openReport(object, aead, m.CaptureID)
	if err != nil {
		return nil, bad(err, "seal")
	}
	if int64(len(plain)) != m.Report.PlainBytes {
		return nil, bad(nil, fmt.Sprintf("%d bytes, the manifest says %d", len(plain), m.Report.PlainBytes))
	}
	r, err := keyspace.ParseReport(plain)
	if err != nil {
		return nil, bad(err, "content")
	}
	if r.Keys != m.Keys() || r.FileBytes != m.Bytes() {
		return nil, bad(nil, fmt.Sprintf("%d keys in %d bytes, the manifest says %d in %d", r.Keys, r.FileBytes, m.Keys(), m.Bytes()))
	}
	return r, nil
}

func openReport(object []byte, aead *subtle.AESGCMHKDF, capture string) ([]byte, error) {
	sealed, err := aead.NewDecryptingReader(bytes.NewReader(object), associatedReport(capture))
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(sealed) // so that the decoder reads no further than it must
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	plain, err := io.ReadAll(io.LimitReader(z, keyspace.MaxReport+1))
	if err != nil {
		return nil, err
	}
	if len(plain) > keyspace.MaxReport {
		return nil, fmt.Errorf("more than %d bytes", keyspace.MaxReport)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, errors.Join(errors.New("bytes after its end"), err)
	}
	return plain, nil
}

// check refuses what cannot be a report.
func (r *SealedReport) check(shards []Shard) error {
	for i := range shards {
		if shards[i].Name == reportName {
			return errors.New("a shard takes the place of the report")
		}
	}
	if r.Format < 1 || r.PlainBytes < 1 || r.PlainBytes > keyspace.MaxReport || r.StoredBytes < 1 || r.StoredBytes > maxStoredReport || !isHex(r.SHA256, 64) {
		return fmt.Errorf("report of format %d, %d bytes in %d", r.Format, r.PlainBytes, r.StoredBytes)
	}
	return nil
}
