package snapstore

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// putReported stores dumps, one per shard, with the report of their key space.
func putReported(t *testing.T, s *Store, id string, dumps ...[]byte) (*Manifest, DataKey) {
	t.Helper()
	key := NewDataKey()
	c, err := s.NewCapture(t.Context(), "cap-"+id, key)
	if err != nil {
		t.Fatal(err)
	}
	all := keyspace.NewCollector(keyspace.Options{})
	var sums []*rdb.Summary
	for _, d := range dumps {
		part, sc, err := keyspace.Collect(bytes.NewReader(d), keyspace.Options{})
		if err != nil {
			t.Fatal(err)
		}
		all.Merge(part)
		sums = append(sums, sc.Summary())
	}
	m := putRDB(t, s, id+"-plain", dumps, func(*Shard) {})
	// The same parts under the new capture's key.
	m.SnapshotID, m.CaptureID, m.Key.Context, m.Key.Wrapped = id, "cap-"+id, nil, nil
	for i, d := range dumps {
		w, err := c.Shard(m.Shards[i].Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(d); err != nil {
			t.Fatal(err)
		}
		got, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		m.Shards[i].Parts = got.Parts
	}
	if m.Report, err = c.WriteReport(all.Report(sums...)); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteManifest(t.Context(), m, key); err != nil {
		t.Fatal(err)
	}
	return m, key
}

func TestReport(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := newStore(t, b, Options{})
	putReported(t, s, "s", dump(1000), dump(10))
	m, err := s.ReadManifest(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if m.Format != 3 {
		t.Errorf("format %d", m.Format)
	}
	key, err := s.Unlock(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.ReadReport(t.Context(), m, key)
	if err != nil || r.Keys != 1010 || r.FileBytes != m.Bytes() || len(r.Prefixes.Heaviest) != 1 || string(r.Prefixes.Heaviest[0].Prefix) != "key:" {
		t.Fatalf("%+v, %v", r, err)
	}
	// Keys are data: not one byte of them lies open.
	for _, name := range []string{ReportKey(m.CaptureID), ManifestKey("s")} {
		if bytes.Contains(object(t, b, name), []byte("key:")) {
			t.Errorf("%s shows keys", name)
		}
	}
	if err := s.Present(t.Context(), m); err != nil {
		t.Error(err)
	}
	// A copy shares it, also under another key of the service.
	if _, err := s.Copy(t.Context(), m, "copy", nil, "arn:key/two"); err != nil {
		t.Fatal(err)
	}
	copied, err := s.ReadManifest(t.Context(), "copy")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.ReadReport(t.Context(), copied, key); err != nil || again.Keys != 1010 {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := s.Verify(t.Context(), "copy", nil); err != nil {
		t.Error(err)
	}
	// It goes with the capture.
	if err := s.DeleteCapture(t.Context(), m.CaptureID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadReport(t.Context(), m, key); !errors.Is(err, ErrCorrupt) {
		t.Errorf("deleted: %v", err)
	}
	if err := s.Present(t.Context(), m); !errors.Is(err, ErrCorrupt) {
		t.Errorf("deleted: %v", err)
	}
}

func TestDamagedReport(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := newStore(t, b, Options{})
	m, key := putReported(t, s, "s", dump(100))
	putReported(t, s, "other", dump(100))
	good := object(t, b, ReportKey("cap-s"))
	foreign := object(t, b, ReportKey("cap-other"))
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string][]byte{"flipped": flipped, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0), "of another capture": foreign,
		"empty": nil, "a part": object(t, b, PartKey("cap-s", "0001", 1))} {
		replaceObject(t, b, ReportKey("cap-s"), bad)
		for _, err := range []error{second(s.ReadReport(t.Context(), m, key)), second(s.Verify(t.Context(), "s", nil))} {
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "report") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := b.Delete(t.Context(), ReportKey("cap-s")); err != nil {
		t.Fatal(err)
	}
	if err := second(s.Verify(t.Context(), "s", nil)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("missing: %v", err)
	}
	// The seal alone holds, whatever a manifest says of hashes.
	aead, err := key.reportSealer()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openReport(good, aead, "cap-s"); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string][]byte{"flipped": flipped, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0), "of another capture": foreign, "empty": nil} {
		if plain, err := openReport(bad, aead, "cap-s"); err == nil {
			t.Errorf("%s: opened to %q", name, plain)
		}
	}
	if _, err := openReport(good, aead, "cap-t"); err == nil {
		t.Error("it opens as the report of another capture")
	}
	parts, err := key.sealer()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openReport(good, parts, "cap-s"); err == nil {
		t.Error("it opens with the key of parts")
	}
}

func second[T any](_ T, err error) error { return err }

// What is sealed well may still be a bomb, or not what it says.
func TestReportsThatLie(t *testing.T) {
	t.Parallel()
	key := fixedKey(t)
	aead, err := key.reportSealer()
	if err != nil {
		t.Fatal(err)
	}
	var object bytes.Buffer
	if err := sealReport(&object, aead, "c", make([]byte, 100*keyspace.MaxReport)); err != nil {
		t.Fatal(err)
	}
	if plain, err := openReport(object.Bytes(), aead, "c"); err == nil {
		t.Errorf("it became %d bytes", len(plain))
	}
	object.Reset()
	sealed, err := aead.NewEncryptingWriter(&object, associatedReport("c"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(sealed)
	fmt.Fprint(z, "{}")
	z.Close()             //nolint:errcheck // in memory
	fmt.Fprint(sealed, 1) //nolint:errcheck // in memory
	sealed.Close()        //nolint:errcheck // in memory
	if _, err := openReport(object.Bytes(), aead, "c"); err == nil {
		t.Error("bytes behind the compressed ones were overlooked")
	}
	s := newStore(t, newBucket(t), Options{})
	m, _ := putReported(t, s, "s", dump(3))
	for name, change := range map[string]func(*SealedReport){
		"no format": func(r *SealedReport) { r.Format = 0 }, "huge": func(r *SealedReport) { r.PlainBytes = keyspace.MaxReport + 1 },
		"negative": func(r *SealedReport) { r.StoredBytes = -1 }, "hash": func(r *SealedReport) { r.SHA256 = "x" },
	} {
		lying, sealed := *m, *m.Report
		change(&sealed)
		lying.Report = &sealed
		if err := lying.check(); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	newer, sealedReport := *m, *m.Report
	sealedReport.Format, newer.Report = 2, &sealedReport
	if err := second(s.ReadReport(t.Context(), &newer, key)); err == nil || errors.Is(err, ErrCorrupt) {
		t.Errorf("a newer report: %v", err)
	}
	m.Report = nil
	if err := second(s.ReadReport(t.Context(), m, key)); !errors.Is(err, ErrNoReport) {
		t.Errorf("none: %v", err)
	}
	if _, err := (&Capture{s: s}).Shard("report"); err == nil {
		t.Error("a shard took the place of the report")
	}
}
