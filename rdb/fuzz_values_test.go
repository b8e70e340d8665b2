package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// readSomehow reads a value in one of the ways there are, chosen by how.
func readSomehow(t *testing.T, v *Value, how byte) (Data, error) {
	switch how % 5 {
	case 0:
		return v.Decode(1 << 20)
	case 1: // in part
		left := int(how >> 4)
		for _, err := range v.Elements() {
			if left--; err != nil || left < 0 {
				break
			}
		}
		for _, err := range v.Entries() {
			if left--; err != nil || left < 0 {
				break
			}
		}
		for _, err := range v.StateParts() {
			if left--; err != nil || left < 0 {
				break
			}
		}
		for _, err := range v.Items() {
			if left--; err != nil || left < 0 {
				break
			}
		}
	case 2:
		if _, err := io.CopyN(io.Discard, v.Reader(), int64(how)<<8); err != nil {
			return nil, err
		}
	case 3:
		if st, err := v.State(); (err == nil) != (st != nil) {
			t.Fatalf("%v with %v", st, err)
		}
		if _, err := v.Text(int64(how)); err != nil {
			return nil, err
		}
	case 4:
		if _, err := v.Raw(io.Discard); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// writesAgain wants a value that a Writer does not refuse to come back the same.
func writesAgain(t *testing.T, d Data) {
	before := canonical(d)
	for _, o := range []WriterOptions{{Version: 12}, {Version: 80, Unpacked: true, Uncompressed: true}} {
		payload, err := EncodeDump(nil, d, o)
		if err != nil {
			continue
		}
		dump, err := ParseDump(payload)
		if err != nil {
			t.Fatalf("%.300s is written as a payload that is refused: %v", before, err)
		}
		again, err := dump.Decode(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		if d.Kind() == KindStream { // whose state is put right
			again.(*Stream).StreamState, d = StreamState{}, &Stream{Entries: d.(*Stream).Entries}
		}
		if canonical(again) != canonical(d) {
			t.Fatalf("type %d: %s", dump.Type, difference(again, d))
		}
	}
}

// FuzzValues wants whatever is done with the values of a file to leave the walk
// through it the same.
func FuzzValues(f *testing.F) {
	seed(f, func(file []byte) { f.Add(file, byte(0)) })
	for name, vec := range vectors() {
		f.Add(newFile(vec.version).key(vec.typ, name).raw(vec.raw).set("next", "v").endUnsummed(), byte(len(name)))
	}
	f.Fuzz(func(t *testing.T, file []byte, how byte) {
		want, wantErr := newScanner(bytes.NewReader(file), Options{Keys: true}, 4096).Scan()
		s := newScanner(bytes.NewReader(file), Options{}, 128+int(how))
		records := int64(0)
		for r, err := range s.Records() {
			if err != nil {
				if wantErr == nil || !errors.Is(err, ErrCorrupt) {
					t.Fatalf("%v while values are read, %v while not", err, wantErr)
				}
				return
			}
			records++
			kind, length := r.Value.Kind(), r.Value.Len()
			if kind == KindUnknown || length != r.Elements {
				t.Fatalf("type %d is %v, %d long or %d", r.Type, kind, length, r.Elements)
			}
			d, err := readSomehow(t, r.Value, how+byte(records))
			if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrKind) &&
				!errors.Is(err, ErrValueRead) && !errors.Is(err, io.EOF) {
				t.Fatalf("%v is not about the bytes", err)
			}
			if d != nil && d.Kind() != kind {
				t.Fatalf("%s decodes to a %s", kind, d.Kind())
			}
			if d != nil {
				writesAgain(t, d)
			}
		}
		if wantErr != nil {
			t.Fatalf("only without reading values: %v", wantErr)
		}
		if got := s.Summary(); got.Keys != want.Keys || got.CRC != want.CRC || got.Bytes != want.Bytes || records != want.Keys {
			t.Fatalf("%+v while values are read, %+v while not", got, want)
		}
	})
}

// FuzzDump wants payloads to be refused, or to be read like values of files.
func FuzzDump(f *testing.F) {
	for _, vec := range vectors() {
		f.Add(AppendDump(nil, vec.typ, []byte(vec.raw), vec.version), byte(0))
	}
	f.Fuzz(func(t *testing.T, payload []byte, how byte) {
		if len(payload) >= 8 { // mutations must get past the checksum
			payload = append(bytes.Clone(payload[:len(payload)-8]), make([]byte, 8)...)
		}
		before := bytes.Clone(payload)
		dump, err := ParseDump(payload)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v is not about the bytes", err)
			}
			return
		}
		if _, err := readSomehow(t, dump.Value(), how); err != nil && errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("what was walked is cut: %v", err)
		}
		d, err := dump.Decode(1 << 20)
		if err == nil {
			writesAgain(t, d)
		}
		if verified := dump.Verify(); verified == nil && err != nil && !errors.Is(err, ErrTooLarge) {
			t.Fatalf("verified, but %v", err)
		}
		if !bytes.Equal(payload, before) {
			t.Fatal("the payload was changed")
		}
		again := AppendDump(nil, dump.Type, dump.Raw, dump.Version)
		if !bytes.Equal(again[:len(again)-8], payload[:len(payload)-8]) || binary.LittleEndian.Uint64(again[len(again)-8:]) == 0 {
			t.Fatalf("%x became %x", payload, again)
		}
	})
}
