package kms

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// fakeKMS speaks the JSON 1.1 protocol of AWS KMS for three operations, to the real SDK client. Its cryptography is a table:
// a real service is tested when KEYFRAME_TEST_KMS_ENDPOINT names one.
type fakeKMS struct {
	mu      sync.Mutex
	state   map[string]string // key id -> KeyState
	aliases map[string]string
	sealed  map[string]string // ciphertext -> key, context and plaintext
	regions []string          // that requests were signed for
}

func (f *fakeKMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var in struct {
		KeyId, Plaintext, CiphertextBlob string
		EncryptionContext                map[string]string
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	fault := func(code, format string, args ...any) {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": fmt.Sprintf(format, args...)})
	}
	region := strings.Split(r.Header.Get("Authorization"), "/")[2]
	f.regions = append(f.regions, region)
	id := in.KeyId[strings.LastIndex(in.KeyId, ":")+1:]
	if strings.HasPrefix(id, "alias/") {
		if f.aliases[id] == "" {
			fault("NotFoundException", "Alias arn:aws:kms:%s:111122223333:%s is not found.", region, id)
			return
		}
		id = f.aliases[id]
	}
	id = strings.TrimPrefix(id, "key/")
	arn := "arn:aws:kms:" + region + ":111122223333:key/" + id
	state, ok := f.state[id]
	if !ok {
		fault("NotFoundException", "Key '%s' does not exist", arn)
		return
	}
	op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	if op != "DescribeKey" && state != "Enabled" {
		fault("DisabledException", "%s is disabled.", arn)
		return
	}
	bound := fmt.Sprint(id, in.EncryptionContext)
	var out any
	switch op {
	case "DescribeKey":
		out = map[string]any{"KeyMetadata": map[string]any{"KeyId": id, "Arn": arn, "KeyState": state, "KeyUsage": "ENCRYPT_DECRYPT"}}
	case "Encrypt":
		ct := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "sealed text number %d", len(f.sealed)))
		f.sealed[ct] = bound + in.Plaintext
		out = map[string]string{"CiphertextBlob": ct, "KeyId": arn}
	case "Decrypt":
		plain, ok := strings.CutPrefix(f.sealed[in.CiphertextBlob], bound)
		if !ok {
			fault("InvalidCiphertextException", "")
			return
		}
		out = map[string]string{"Plaintext": plain, "KeyId": arn}
	default:
		fault("UnknownOperationException", "%s", op)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	json.NewEncoder(w).Encode(out)
}

func TestAWSAgainstFake(t *testing.T) {
	t.Parallel()
	f := &fakeKMS{state: map[string]string{"k1": "Enabled", "off": "Disabled", "gone": "PendingDeletion"}, aliases: map[string]string{"alias/mine": "k1"}, sealed: map[string]string{}}
	srv := httptest.NewServer(f)
	defer srv.Close()
	a, err := OpenAWS(t.Context(), AWSOptions{Endpoint: srv.URL, Region: "us-east-1", DefaultKey: "alias/mine", AccessKeyID: "AK", SecretAccessKey: "SK"})
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"", "k1", "alias/mine", "arn:aws:kms:us-east-1:111122223333:key/k1"} {
		t.Run(ref, func(t *testing.T) { runProvider(t, a, ref) })
	}
	refused(t, a, "off", "arn:aws:kms:us-east-1:111122223333:key/off is disabled.")
	refused(t, a, "gone", "PendingDeletion")
	off := "arn:aws:kms:us-east-1:111122223333:key/off"
	_, err = a.Wrap(t.Context(), off, []byte("x"), nil)
	wantInvalid(t, err, "is disabled")
	wantInvalid(t, a.Check(t.Context(), off), "is disabled")

	f.mu.Lock()
	f.regions = nil
	f.mu.Unlock()
	if err := a.Check(t.Context(), "arn:aws:kms:eu-west-1:111122223333:key/k1"); err != nil {
		t.Fatal(err)
	}
	if f.regions[0] != "eu-west-1" {
		t.Errorf("asked in %s", f.regions[0])
	}
	none, err := OpenAWS(t.Context(), AWSOptions{Endpoint: srv.URL, Region: "us-east-1", AccessKeyID: "AK", SecretAccessKey: "SK"})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, none, "", "no default key")
}

// TestAWSReal runs the contract against a service that the environment names, with the SDK's usual credentials.
func TestAWSReal(t *testing.T) {
	t.Parallel()
	endpoint, key := os.Getenv("KEYFRAME_TEST_KMS_ENDPOINT"), os.Getenv("KEYFRAME_TEST_KMS_KEY")
	if endpoint == "" || key == "" {
		t.Skip("KEYFRAME_TEST_KMS_ENDPOINT and KEYFRAME_TEST_KMS_KEY name no service")
	}
	a, err := OpenAWS(t.Context(), AWSOptions{Endpoint: endpoint, Region: home.Region})
	if err != nil {
		t.Fatal(err)
	}
	runProvider(t, a, key)
}
