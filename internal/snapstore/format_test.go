package snapstore_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// A reader for docs/snapshot-format.md that shares no code with the package: when it cannot read the golden snapshot, the
// specification is wrong.

func derive(t *testing.T, key []byte, salt []byte, info string) []byte {
	t.Helper()
	out, err := hkdf.Key(sha256.New, key, salt, info, 32)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// strangerUnseal opens an object of section 3.1.
func strangerUnseal(t *testing.T, dataKey, object []byte, capture, shard string, number uint64) []byte {
	t.Helper()
	var aad bytes.Buffer
	aad.WriteString("keyframe part\x00\x00\x00\x00\x01")
	for _, s := range []string{capture, shard} {
		aad.Write([]byte{byte(len(s) >> 8), byte(len(s))})
		aad.WriteString(s)
	}
	binary.Write(&aad, binary.BigEndian, number)
	if object[0] != 40 {
		t.Fatalf("header of %d bytes", object[0])
	}
	block, err := aes.NewCipher(derive(t, derive(t, dataKey, nil, "keyframe/1 part"), object[1:33], aad.String()))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	prefix, rest := object[33:40], object[40:]
	var plain []byte
	for i, size := uint32(0), 1<<20-40; ; i, size = i+1, 1<<20 {
		last := byte(0)
		if len(rest) <= size {
			last, size = 1, len(rest)
		}
		nonce := append(binary.BigEndian.AppendUint32(bytes.Clone(prefix), i), last)
		if plain, err = gcm.Open(plain, nonce, rest[:size], nil); err != nil {
			t.Fatalf("segment %d: %v", i, err)
		}
		if rest = rest[size:]; last == 1 {
			return plain
		}
	}
}

// strangerUnframe decodes section 3.2.
func strangerUnframe(t *testing.T, p []byte, stream []byte) (_ []byte, end bool) {
	t.Helper()
	if !bytes.Equal(p[:4], []byte{0x4b, 0x46, 0x50, 1}) || !bytes.Equal(p[5:8], []byte{0, 0, 0}) {
		t.Fatalf("head % x", p[:8])
	}
	codec := p[4]
	for p = p[8:]; ; {
		size, stored := int(binary.LittleEndian.Uint32(p)), int(binary.LittleEndian.Uint32(p[4:]))
		p = p[8:]
		if size == 0 {
			if at := binary.LittleEndian.Uint64(p); at != uint64(len(stream)) || len(p) != 8 {
				t.Fatalf("trailer at %d, %d bytes", at, len(p))
			}
			return stream, stored == 1
		}
		var out []byte
		var err error
		switch {
		case stored == size:
			out = p[:stored]
		case codec == 1:
			out, err = s2.Decode(nil, p[:stored])
		case codec == 2:
			d, derr := zstd.NewReader(nil)
			if derr != nil {
				t.Fatal(derr)
			}
			out, err = d.DecodeAll(p[:stored], nil)
			d.Close()
		}
		if err != nil || len(out) != size {
			t.Fatalf("block: %d bytes of %d, %v", len(out), size, err)
		}
		stream, p = append(stream, out...), p[stored:]
	}
}

func TestSpecificationIsEnough(t *testing.T) {
	t.Parallel()
	dataKey := bytes.Repeat([]byte{9}, 32) // what the key service would return
	file, err := os.ReadFile("testdata/format1/snapshots/golden/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct {
		MAC      string          `json:"mac"`
		Manifest json.RawMessage `json:"manifest"`
	}
	if err := json.Unmarshal(file, &envelope); err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, derive(t, dataKey, nil, "keyframe/1 manifest"))
	mac.Write(envelope.Manifest)
	if hex.EncodeToString(mac.Sum(nil)) != envelope.MAC {
		t.Fatal("the MAC does not match")
	}
	var m struct {
		CaptureID string `json:"capture_id"`
		Shards    []struct {
			Name  string `json:"name"`
			Bytes int    `json:"bytes"`
			Parts []struct {
				Number uint64 `json:"number"`
				SHA256 string `json:"sha256"`
			} `json:"parts"`
		} `json:"shards"`
	}
	if err := json.Unmarshal(envelope.Manifest, &m); err != nil {
		t.Fatal(err)
	}
	for _, sh := range m.Shards {
		var stream []byte
		for i, p := range sh.Parts {
			object, err := os.ReadFile(fmt.Sprintf("testdata/format1/captures/%s/%s/%06d", m.CaptureID, sh.Name, p.Number))
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(object); hex.EncodeToString(sum[:]) != p.SHA256 {
				t.Fatal("SHA-256 does not match")
			}
			var end bool
			stream, end = strangerUnframe(t, strangerUnseal(t, dataKey, object, m.CaptureID, sh.Name, p.Number), stream)
			if end != (i == len(sh.Parts)-1) {
				t.Fatalf("part %d: end is %t", p.Number, end)
			}
		}
		if len(stream) != sh.Bytes || !bytes.HasPrefix(stream, []byte("a golden stream never changes. ")) {
			t.Fatalf("%d bytes of %d", len(stream), sh.Bytes)
		}
	}
}
