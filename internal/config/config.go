// Package config is the one configuration of a server: flags over KEYFRAME_* environment over file over defaults.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/resource"
)

// Secret is a string that never prints.
type Secret = resource.Secret

// Config is everything that a server can be told. The first tag is the key in the file, the second what it is for; the flag is the key with dashes,
// the variable KEYFRAME_ and the key in capitals.
type Config struct {
	Data   string `koanf:"data" help:"directory of all state"`
	Listen string `koanf:"listen" help:"host:port of the API"`

	AccessKeyID     string `koanf:"access_key_id" help:"presets the root key pair; else the first start makes one"`
	SecretAccessKey Secret `koanf:"secret_access_key" help:"secret of access_key_id"`
	Account         string `koanf:"account" help:"account of the root key pair, twelve digits"`

	NodeAddress   string `koanf:"node_address" help:"one IP for all nodes instead of loopback addresses"`
	NodePorts     string `koanf:"node_ports" help:"the ports A-B that nodes may use there"`
	ServerlessTLS bool   `koanf:"serverless_tls" help:"serverless endpoints speak TLS"`

	DefaultDataGB int `koanf:"default_data_gb" help:"data limit in GB of a serverless cache that was created without one"`

	Export ExportConfig `koanf:"export"`
	KMS    KMSConfig    `koanf:"kms"`
	Quota  QuotaConfig  `koanf:"quota"`

	Workers       int           `koanf:"workers" help:"jobs that run at a time"`
	ShutdownGrace time.Duration `koanf:"shutdown_grace" help:"how long requests and jobs may go on after SIGTERM"`
	SweepEvery    time.Duration `koanf:"sweep_every" help:"time between searches for orphans in the store"`
	LogLevel      string        `koanf:"log_level" help:"debug, info, warn, error"`
	LogFormat     string        `koanf:"log_format" help:"text, json, or auto: text on a terminal"`
}

// ExportConfig names the S3 endpoint that exports go to. Without one the built-in S3 face serves.
type ExportConfig struct {
	Endpoint        string `koanf:"endpoint" help:"http(s)://host:port that exports go to, or aws for AWS itself; else the built-in buckets"`
	Region          string `koanf:"region" help:"region of the endpoint"`
	AccessKeyID     string `koanf:"access_key_id" help:"access key for the endpoint"`
	SecretAccessKey Secret `koanf:"secret_access_key" help:"secret of access_key_id"`
	PathStyle       bool   `koanf:"path_style" help:"bucket in the path, not in the host name"`
}

// KMSConfig chooses who holds the keys that wrap data keys.
type KMSConfig struct {
	Provider     string `koanf:"provider" help:"who holds the keys: local, aws or vault"`
	AWSEndpoint  string `koanf:"aws_endpoint" help:"endpoint of AWS KMS, when it is not the public one"`
	VaultAddress string `koanf:"vault_address" help:"URL of Vault or OpenBao"`
	VaultToken   Secret `koanf:"vault_token" help:"token for it"`
	DefaultKey   string `koanf:"default_key" help:"key of AWS KMS or Vault for requests that name none"`
	VaultMount   string `koanf:"vault_mount" help:"mount of its Transit engine"`
}

// QuotaConfig are the service quotas, AWS's own by default.
type QuotaConfig struct {
	ServerlessCaches    int `koanf:"serverless_caches" help:"serverless caches per account and region"`
	ServerlessSnapshots int `koanf:"serverless_snapshots" help:"manual snapshots per serverless cache in a rolling day"`
	NodeSnapshots       int `koanf:"node_snapshots" help:"manual snapshots per cache cluster, replication group or MemoryDB cluster in a rolling day"`
	SnapshotsKept       int `koanf:"snapshots_kept" help:"snapshots per account and region, of all types, for serverless caches, ElastiCache's other caches and MemoryDB each; 0 for no bound"`
	TagsPerResource     int `koanf:"tags_per_resource" help:"tags of one resource"`
}

// Default is the configuration of a server that was told nothing.
func Default() Config {
	return Config{
		Data:          "keyframe-data",
		Listen:        "127.0.0.1:7411",
		Account:       "123456789012",
		DefaultDataGB: 1,
		Export:        ExportConfig{Region: "us-east-1", PathStyle: true},
		KMS:           KMSConfig{Provider: "local", VaultMount: "transit"},
		Quota:         QuotaConfig{ServerlessCaches: 40, ServerlessSnapshots: 24, NodeSnapshots: 20, TagsPerResource: 50},
		Workers:       8,
		ShutdownGrace: 5 * time.Second,
		SweepEvery:    10 * time.Minute,
		LogLevel:      "info",
		LogFormat:     "auto",
	}
}

var account = regexp.MustCompile(`^[0-9]{12}$`)

// Check reports every value that cannot be used, by its key.
func (c *Config) Check() error {
	var bad []error
	refuse := func(key, format string, args ...any) {
		bad = append(bad, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if c.Data == "" {
		refuse("data", "a directory is needed")
	}
	if !account.MatchString(c.Account) {
		refuse("account", "%q is not twelve digits", c.Account)
	}
	if (c.AccessKeyID == "") != (c.SecretAccessKey == "") {
		refuse("access_key_id", "access_key_id and secret_access_key go together")
	}
	if c.NodeAddress != "" {
		if _, err := netip.ParseAddr(c.NodeAddress); err != nil {
			refuse("node_address", "%q is not an IP address", c.NodeAddress)
		}
		if c.NodePorts == "" {
			refuse("node_ports", "node_address needs node_ports, such as 7000-7100")
		}
	} else if c.NodePorts != "" {
		refuse("node_ports", "node_ports needs node_address")
	}
	if c.NodePorts != "" {
		if _, _, err := c.NodePortRange(); err != nil {
			refuse("node_ports", "%v", err)
		}
	}
	switch c.KMS.Provider {
	case "local", "aws":
	case "vault":
		if c.KMS.VaultAddress == "" || c.KMS.VaultToken == "" {
			refuse("kms.provider", "vault needs kms.vault_address and kms.vault_token")
		}
	default:
		refuse("kms.provider", "%q is none of local, aws, vault", c.KMS.Provider)
	}
	for key, n := range map[string]int{"default_data_gb": c.DefaultDataGB, "workers": c.Workers,
		"quota.serverless_caches": c.Quota.ServerlessCaches, "quota.serverless_snapshots": c.Quota.ServerlessSnapshots,
		"quota.node_snapshots": c.Quota.NodeSnapshots, "quota.tags_per_resource": c.Quota.TagsPerResource} {
		if n < 1 {
			refuse(key, "%d is less than 1", n)
		}
	}
	if c.Quota.SnapshotsKept < 0 {
		refuse("quota.snapshots_kept", "%d is less than 0", c.Quota.SnapshotsKept)
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		refuse("log_level", "%q is none of debug, info, warn, error", c.LogLevel)
	}
	switch c.LogFormat {
	case "auto", "text", "json":
	default:
		refuse("log_format", "%q is none of auto, text, json", c.LogFormat)
	}
	if c.SweepEvery <= 0 {
		refuse("sweep_every", "must be more than zero")
	}
	return errors.Join(bad...)
}

// NodePortRange reads NodePorts.
func (c *Config) NodePortRange() (from, to int, err error) {
	a, b, ok := strings.Cut(c.NodePorts, "-")
	from, errA := strconv.Atoi(strings.TrimSpace(a))
	to, errB := strconv.Atoi(strings.TrimSpace(b))
	if !ok || errA != nil || errB != nil || from < 1 || to > 65535 || from > to {
		return 0, 0, fmt.Errorf("%q is not a range of ports such as 7000-7100", c.NodePorts)
	}
	return from, to, nil
}

// MakeDataDir makes the data directory, for this user only, and its path absolute.
func (c *Config) MakeDataDir() error {
	abs, err := filepath.Abs(c.Data)
	if err != nil {
		return err
	}
	c.Data = abs
	return os.MkdirAll(c.Data, 0o700)
}
