package kms

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/resource"
)

var home = resource.Scope{Account: "123456789012", Region: "us-east-1"}

// runProvider is the contract: ref names a usable key in scope home.
func runProvider(t *testing.T, p Provider, ref string) {
	t.Helper()
	ctx := t.Context()
	arn, err := p.Resolve(ctx, home, "elasticache", ref)
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := resource.ParseARN(arn); !ok || a.Service != "kms" || a.Type != "key" || a.Region != home.Region {
		t.Fatalf("resolved to %q", arn)
	}
	if again, err := p.Resolve(ctx, home, "elasticache", arn); err != nil || again != arn {
		t.Fatalf("the ARN resolves to %q, %v", again, err)
	}
	if err := p.Check(ctx, arn); err != nil {
		t.Fatal(err)
	}
	secret := bytes.Repeat([]byte{7, 0, 255, 1}, 8)
	bind := map[string]string{"keyframe:snapshot": "a", "keyframe:capture": "b"}
	wrapped, err := p.Wrap(ctx, arn, secret, bind)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(wrapped, secret) {
		t.Fatal("the secret is in the clear")
	}
	if again, err := p.Wrap(ctx, arn, secret, bind); err != nil || bytes.Equal(again, wrapped) {
		t.Fatalf("wrapping twice gives the same bytes (%v)", err)
	}
	plain, err := p.Unwrap(ctx, arn, wrapped, map[string]string{"keyframe:capture": "b", "keyframe:snapshot": "a"})
	if err != nil || !bytes.Equal(plain, secret) {
		t.Fatalf("unwrapped %x, %v", plain, err)
	}
	for name, other := range map[string]map[string]string{"none": nil, "value": {"keyframe:snapshot": "x", "keyframe:capture": "b"},
		"less": {"keyframe:snapshot": "a"}, "moved": {"keyframe:snapshotb": "a", "keyframe:capture": ""},
		"more": {"keyframe:snapshot": "a", "keyframe:capture": "b", "c": "d"}} {
		if _, err := p.Unwrap(ctx, arn, wrapped, other); err == nil {
			t.Errorf("context %s was accepted", name)
		}
	}
	changed := bytes.Clone(wrapped)
	changed[len(changed)-5] ^= 1
	if _, err := p.Unwrap(ctx, arn, changed, bind); err == nil {
		t.Error("changed bytes were accepted")
	}
	for _, bad := range [][]byte{nil, {}, []byte("KFW1"), wrapped[:len(wrapped)/2]} {
		if _, err := p.Unwrap(ctx, arn, bad, bind); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	refused(t, p, "arn:aws:kms:eu-west-1:"+home.Account+":key/"+arn[strings.LastIndex(arn, "/")+1:], "eu-west-1")
	refused(t, p, "no-such-key", "")
	refused(t, p, "alias/no-such-alias", "")
}

// refused wants a key to be refused as InvalidKey with a message that contains text.
func refused(t *testing.T, p Provider, ref, text string) {
	t.Helper()
	arn, err := p.Resolve(t.Context(), home, "elasticache", ref)
	wantInvalid(t, err, text)
	if err == nil {
		t.Errorf("%s resolved to %s", ref, arn)
	}
}

func wantInvalid(t *testing.T, err error, text string) {
	t.Helper()
	var e *resource.Error
	if !errors.As(err, &e) || e.Kind != resource.InvalidKey || e.Type != resource.TypeParameter || e.ID != "KmsKeyId" || !strings.Contains(e.Message, text) {
		t.Errorf("%v, want InvalidKey with %q", err, text)
	}
}
