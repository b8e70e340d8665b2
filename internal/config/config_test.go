package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keyframe.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLayersWinInOrder(t *testing.T) {
	t.Parallel()
	file := write(t, "listen: 127.0.0.1:1\ndata: /from/file\nquota:\n  serverless_caches: 7\nshutdown_grace: 9s\n")
	c, err := Load(file, []string{"KEYFRAME_DATA=/from/env", "KEYFRAME_QUOTA_SERVERLESS_SNAPSHOTS=3", "HOME=/x"},
		map[string]any{"data": "/from/flag"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:1" || c.Data != "/from/flag" || c.Quota.ServerlessCaches != 7 || c.Quota.ServerlessSnapshots != 3 ||
		c.ShutdownGrace != 9*time.Second {
		t.Errorf("layers did not win in order: %+v", c)
	}
	if c.Quota.TagsPerResource != 50 || c.KMS.Provider != "local" {
		t.Errorf("defaults were lost: %+v", c)
	}
}

func TestUnknownKeysAreRefused(t *testing.T) {
	t.Parallel()
	for name, load := range map[string]func() error{
		`unknown key "lisen"`:                   func() error { _, err := Load(write(t, "lisen: x\n"), nil, nil); return err },
		`unknown key "quota.caches"`:            func() error { _, err := Load(write(t, "quota:\n  caches: 1\n"), nil, nil); return err },
		"unknown variable KEYFRAME_LISEN":       func() error { _, err := Load("", []string{"KEYFRAME_LISEN=x"}, nil); return err },
		`"12" is not twelve digits`:             func() error { _, err := Load("", []string{"KEYFRAME_ACCOUNT=12"}, nil); return err },
		"node_address needs node_ports":         func() error { _, err := Load("", []string{"KEYFRAME_NODE_ADDRESS=10.0.0.1"}, nil); return err },
		"'workers' cannot parse value as 'int'": func() error { _, err := Load("", []string{"KEYFRAME_WORKERS=many"}, nil); return err },
		"secret_access_key go together":         func() error { _, err := Load("", []string{"KEYFRAME_ACCESS_KEY_ID=A"}, nil); return err },
		"vault needs kms.vault_address":         func() error { _, err := Load("", []string{"KEYFRAME_KMS_PROVIDER=vault"}, nil); return err },
		"is not a range of ports": func() error {
			_, err := Load("", []string{"KEYFRAME_NODE_ADDRESS=10.0.0.1", "KEYFRAME_NODE_PORTS=9-1"}, nil)
			return err
		},
		"yaml: ":                              func() error { _, err := Load(write(t, "a: [\n"), nil, nil); return err },
		"quota.snapshots_kept: -1 is less":    func() error { _, err := Load("", []string{"KEYFRAME_QUOTA_SNAPSHOTS_KEPT=-1"}, nil); return err },
		"quota.serverless_caches: 0 is less":  func() error { _, err := Load(write(t, "quota: {serverless_caches: 0}\n"), nil, nil); return err },
		"log_level: \"loud\" is none of":      func() error { _, err := Load("", []string{"KEYFRAME_LOG_LEVEL=loud"}, nil); return err },
		"sweep_every: must be more than zero": func() error { _, err := Load("", []string{"KEYFRAME_SWEEP_EVERY=0s"}, nil); return err },
		"no such file or directory":           func() error { _, err := Load("/does/not/exist.yaml", nil, nil); return err },
		`node_address: "here" is not an IP`: func() error {
			_, err := Load("", []string{"KEYFRAME_NODE_ADDRESS=here", "KEYFRAME_NODE_PORTS=1-2"}, nil)
			return err
		},
		"node_ports needs node_address":    func() error { _, err := Load("", []string{"KEYFRAME_NODE_PORTS=1-2"}, nil); return err },
		`log_format: "xml" is none of`:     func() error { _, err := Load("", []string{"KEYFRAME_LOG_FORMAT=xml"}, nil); return err },
		`kms.provider: "paper" is none of`: func() error { _, err := Load("", []string{"KEYFRAME_KMS_PROVIDER=paper"}, nil); return err },
		"data: a directory is needed":      func() error { _, err := Load("", []string{"KEYFRAME_DATA="}, nil); return err },
	} {
		if err := load(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error with %q, got %v", name, err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	c, err := Load("", []string{"KEYFRAME_ACCESS_KEY_ID=AKIA", "KEYFRAME_SECRET_ACCESS_KEY=hush"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.SecretAccessKey != "hush" {
		t.Fatal("the secret did not arrive")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, c); strings.Contains(text, "hush") {
			t.Errorf("%s prints the secret: %s", verb, text)
		}
	}
}
