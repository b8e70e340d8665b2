package kms

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// fakeTransit answers like the Transit engine of Vault: paths, bodies and status codes, with AES-256-GCM behind them. A real
// server is tested when KEYFRAME_TEST_VAULT_ADDR and _TOKEN name one.
type fakeTransit struct{ keys map[string]map[string]any }

func (f *fakeTransit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(code int, text ...string) {
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(map[string]any{"errors": text})
	}
	if r.Header.Get("X-Vault-Token") != "tok" || r.Header.Get("X-Vault-Request") != "true" {
		fail(http.StatusForbidden, "permission denied")
		return
	}
	part := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/transit/"), "/")
	if len(part) != 2 {
		fail(http.StatusNotFound)
		return
	}
	key, ok := f.keys[part[1]]
	if part[0] == "keys" && r.Method == http.MethodGet {
		if !ok {
			fail(http.StatusNotFound)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"request_id": "x", "data": key})
		return
	}
	var in struct {
		Plaintext      []byte `json:"plaintext"`
		AssociatedData []byte `json:"associated_data"`
		Ciphertext     string `json:"ciphertext"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fail(http.StatusBadRequest, err.Error())
		return
	}
	if !ok {
		fail(http.StatusBadRequest, "encryption key not found")
		return
	}
	block, _ := aes.NewCipher([]byte(fmt.Sprintf("%032s", part[1])))
	aead, _ := cipher.NewGCMWithRandomNonce(block)
	switch part[0] {
	case "encrypt":
		ct := base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, in.Plaintext, in.AssociatedData))
		json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"ciphertext": "vault:v1:" + ct, "key_version": 1}})
	case "decrypt":
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(in.Ciphertext, "vault:v1:"))
		if err != nil || !strings.HasPrefix(in.Ciphertext, "vault:v1:") {
			fail(http.StatusBadRequest, "invalid ciphertext: no prefix")
			return
		}
		plain, err := aead.Open(nil, nil, raw, in.AssociatedData)
		if err != nil {
			fail(http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"plaintext": plain}})
	default:
		fail(http.StatusNotFound)
	}
}

func aesKey() map[string]any {
	return map[string]any{"type": "aes256-gcm96", "supports_encryption": true, "supports_decryption": true, "derived": false}
}

func openVault(t *testing.T, o VaultOptions) *Vault {
	t.Helper()
	v, err := OpenVault(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVaultAgainstFake(t *testing.T) {
	t.Parallel()
	derived, sign, off := aesKey(), aesKey(), aesKey()
	derived["derived"], sign["supports_encryption"], off["soft_deleted"] = true, false, true
	srv := httptest.NewServer(&fakeTransit{map[string]map[string]any{"keyframe": aesKey(), "mine": aesKey(), "derived": derived, "sign": sign,
		"off": off, "123456789012-us-east-1-a": aesKey()}})
	defer srv.Close()
	v := openVault(t, VaultOptions{Address: srv.URL, Token: "tok"})
	for _, ref := range []string{"", "mine", "alias/mine", "arn:aws:kms:us-east-1:123456789012:key/mine"} {
		t.Run(ref, func(t *testing.T) { runProvider(t, v, ref) })
	}
	refused(t, v, "derived", "derived: true")
	refused(t, v, "sign", "cannot be used")
	refused(t, v, "off", "is disabled")
	refused(t, v, "arn:aws:kms:us-east-1:999999999999:key/mine", "does not exist")
	refused(t, v, "../../sys/seal", "does not exist")
	_, err := v.Wrap(t.Context(), "arn:aws:kms:us-east-1:123456789012:key/none", []byte("x"), nil)
	wantInvalid(t, err, "encryption key not found")

	apart := openVault(t, VaultOptions{Address: srv.URL, Token: "tok", KeyName: "{account}-{region}-{id}"})
	if arn, err := apart.Resolve(t.Context(), home, "elasticache", "a"); err != nil || arn != "arn:aws:kms:us-east-1:123456789012:key/a" {
		t.Errorf("%s, %v", arn, err)
	}
	refused(t, apart, "mine", "does not exist")
	stranger := openVault(t, VaultOptions{Address: srv.URL, Token: "wrong"})
	refused(t, stranger, "mine", "permission denied")
}

func TestVaultDown(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	v := openVault(t, VaultOptions{Address: srv.URL, Token: "tok"})
	if _, err := v.Resolve(t.Context(), home, "elasticache", "mine"); err == nil || strings.Contains(err.Error(), "tok\"") {
		t.Fatal(err)
	}
	for _, bad := range []VaultOptions{{Address: "ftp://x", Token: "t"}, {Address: "http://x"}, {Address: "::", Token: "t"}} {
		if _, err := OpenVault(bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// TestVaultReal runs the contract against a server that the environment names; its key keyframe must exist.
func TestVaultReal(t *testing.T) {
	t.Parallel()
	addr, token := os.Getenv("KEYFRAME_TEST_VAULT_ADDR"), os.Getenv("KEYFRAME_TEST_VAULT_TOKEN")
	if addr == "" || token == "" {
		t.Skip("KEYFRAME_TEST_VAULT_ADDR and KEYFRAME_TEST_VAULT_TOKEN name no server")
	}
	runProvider(t, openVault(t, VaultOptions{Address: addr, Token: Secret(token)}), "")
}
