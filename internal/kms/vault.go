package kms

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/resource"
)

// VaultOptions say how the Transit engine of Vault or OpenBao is reached.
type VaultOptions struct {
	Address    string // http(s)://host:port
	Token      Secret
	Mount      string // of the engine; default transit
	Namespace  string // empty for none
	DefaultKey string // name of the key that is taken when a request names none; default keyframe
	// KeyName makes the name of a Transit key out of the id in a key's ARN; {id}, {account} and {region} are replaced.
	// The default {id} shares all keys between accounts and regions.
	KeyName    string
	HTTPClient *http.Client // nil: one with a timeout of 30 s
}

// Vault wraps with Transit. A key's ARN is arn:aws:kms:REGION:ACCOUNT:key/NAME, its alias alias/NAME. The context is given as
// associated data, so keys must be of an AEAD type (aes256-gcm96, the default, or chacha20-poly1305).
type Vault struct {
	base string
	o    VaultOptions
}

var _ Provider = (*Vault)(nil)

// OpenVault makes the client. It does not talk to the server yet.
func OpenVault(o VaultOptions) (*Vault, error) {
	u, err := url.Parse(o.Address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("vault: %q is not an address", o.Address)
	}
	if o.Token == "" {
		return nil, errors.New("vault: a token is needed")
	}
	if o.Mount == "" {
		o.Mount = "transit"
	}
	if o.DefaultKey == "" {
		o.DefaultKey = "keyframe"
	}
	if o.KeyName == "" {
		o.KeyName = "{id}"
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Timeout: 30 * time.Second}
	}
	return &Vault{base: strings.TrimRight(o.Address, "/") + "/v1/" + strings.Trim(o.Mount, "/") + "/", o: o}, nil
}

var vaultName = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}$`)

// Resolve implements Provider.
func (v *Vault) Resolve(ctx context.Context, s resource.Scope, _, ref string) (string, error) {
	if ref == "" {
		ref = v.o.DefaultKey
	}
	id := ref
	if strings.HasPrefix(ref, "arn:") {
		part := strings.SplitN(ref, ":", 6)
		switch {
		case len(part) != 6 || part[2] != "kms":
			return "", invalid("Invalid arn %s", ref)
		case part[3] != s.Region || part[1] != resource.Partition(s.Region):
			return "", invalid("Invalid arn %s", part[3])
		case part[4] != s.Account:
			return "", invalid("Key '%s' does not exist", ref)
		}
		id = strings.TrimPrefix(part[5], "key/")
	}
	id = strings.TrimPrefix(id, "alias/")
	arn := keyARN(s, id)
	return arn, v.Check(ctx, arn)
}

// name is the Transit key that an ARN means.
func (v *Vault) name(arn string) (string, error) {
	a, ok := resource.ParseARN(arn)
	if !ok || a.Service != "kms" || a.Type != "key" {
		return "", invalid("Invalid arn %s", arn)
	}
	name := strings.NewReplacer("{id}", a.Name, "{account}", a.Account, "{region}", a.Region).Replace(v.o.KeyName)
	if !vaultName.MatchString(a.Name) || !vaultName.MatchString(name) {
		return "", invalid("Key '%s' does not exist", arn)
	}
	return name, nil
}

// Check implements Provider. Transit has no disabled keys: a key is usable when it is there and supports encryption bound to
// associated data.
func (v *Vault) Check(ctx context.Context, arn string) error {
	name, err := v.name(arn)
	if err != nil {
		return err
	}
	var key struct {
		Type               string `json:"type"`
		SupportsEncryption bool   `json:"supports_encryption"`
		SupportsDecryption bool   `json:"supports_decryption"`
		Derived            bool   `json:"derived"`
		SoftDeleted        bool   `json:"soft_deleted"`
	}
	err = v.call(ctx, http.MethodGet, "keys/"+name, nil, &key)
	var status *vaultError
	switch {
	case errors.As(err, &status) && status.code == http.StatusNotFound:
		return invalid("Key '%s' does not exist", arn)
	case errors.As(err, &status) && status.code == http.StatusForbidden:
		return invalid("Key '%s' may not be used: %s", arn, status.text)
	case err != nil:
		return err
	case key.SoftDeleted:
		return invalid("%s is disabled.", arn)
	case !key.SupportsEncryption || !key.SupportsDecryption || key.Derived || strings.HasPrefix(key.Type, "rsa"):
		return invalid("%s cannot be used: it is a %s key (derived: %t).", arn, key.Type, key.Derived)
	}
	return nil
}

// Wrap implements Provider. What it returns is Transit's own text, vault:v1:...
func (v *Vault) Wrap(ctx context.Context, arn string, plaintext []byte, kctx map[string]string) ([]byte, error) {
	if len(plaintext) == 0 || len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("wrap: %d bytes", len(plaintext))
	}
	var out struct {
		Ciphertext string `json:"ciphertext"`
	}
	err := v.crypt(ctx, "encrypt/", arn, map[string]any{"plaintext": plaintext, "associated_data": canonical(kctx)}, &out)
	if err == nil && out.Ciphertext == "" {
		err = errors.New("vault: encrypt: no ciphertext in the answer")
	}
	return []byte(out.Ciphertext), err
}

// Unwrap implements Provider.
func (v *Vault) Unwrap(ctx context.Context, arn string, wrapped []byte, kctx map[string]string) ([]byte, error) {
	var out struct {
		Plaintext string `json:"plaintext"`
	}
	err := v.crypt(ctx, "decrypt/", arn, map[string]any{"ciphertext": string(wrapped), "associated_data": canonical(kctx)}, &out)
	if err != nil {
		return nil, err
	}
	plain, err := base64.StdEncoding.DecodeString(out.Plaintext)
	if err != nil {
		return nil, errors.New("vault: decrypt: the answer is not base64")
	}
	return plain, nil
}

func (v *Vault) crypt(ctx context.Context, op, arn string, in, out any) error {
	name, err := v.name(arn)
	if err != nil {
		return err
	}
	err = v.call(ctx, http.MethodPost, op+name, in, out)
	var status *vaultError
	if errors.As(err, &status) && (status.code == http.StatusForbidden || strings.Contains(status.text, "encryption key not found")) {
		return invalid("Key '%s' may not be used: %s", arn, status.text)
	}
	return err
}

// vaultError is an answer that is not 2xx.
type vaultError struct {
	code int
	text string
}

func (e *vaultError) Error() string { return fmt.Sprintf("vault: status %d: %s", e.code, e.text) }

const maxAnswer = 1 << 20

func (v *Vault) call(ctx context.Context, method, path string, in, out any) error {
	body := []byte(nil)
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, v.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	req.Header.Set("X-Vault-Token", string(v.o.Token))
	req.Header.Set("X-Vault-Request", "true")
	if v.o.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", v.o.Namespace)
	}
	resp, err := v.o.HTTPClient.Do(req)
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var e struct {
			Errors []string `json:"errors"`
		}
		json.Unmarshal(data, &e) //nolint:errcheck // an answer that is not JSON has no text
		return &vaultError{resp.StatusCode, strings.Join(e.Errors, "; ")}
	}
	var answer struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	if err := json.Unmarshal(answer.Data, out); err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	return nil
}
