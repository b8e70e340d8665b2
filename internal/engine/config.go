package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// Names of the files in a node's directory.
const (
	DataFile  = "dump.rdb"
	ACLFile   = "users.acl"
	NodesFile = "nodes.conf"
)

// TLSFiles are paths of PEM files.
type TLSFiles struct{ CA, Cert, Key string }

// Config is what a Valkey or Redis node's configuration file says.
type Config struct {
	Engine    resource.Engine
	Version   Version // of the binary
	Dir       string  // absolute: data, ACL and cluster files
	Address   string  // IP to listen on and to announce
	Port      int     // for clients: TLS when TLS is set, else plain; never both
	BusPort   int     // cluster bus; cluster mode only
	Cluster   bool
	ReplicaOf resource.Endpoint // primary to follow; zero for a primary; not in cluster mode
	TLS       *TLSFiles
	Admin     Secret // password of AdminUser
	MaxMemory int64  // bytes; 0 for no limit
	AOF       bool

	// Parameters override the defaults below, as parameter groups do. Settings on which safety rests cannot be overridden.
	Parameters map[string]string
}

// defaults may be overridden by Parameters.
var defaults = map[string]string{
	"maxmemory-policy":                "volatile-lru", // AWS's default: keys without expiry are never evicted
	"acl-pubsub-default":              "allchannels",  // AWS's default too: an access string without channels allows all of them
	"repl-diskless-sync":              "yes",          // snapshots stream from the fork, past the disk
	"repl-diskless-sync-delay":        "0",
	"rdbcompression":                  "no",      // snapshots are compressed better and faster by us
	"stop-writes-on-bgsave-error":     "no",      // nobody asked for the background save that may fail
	"sanitize-dump-payload":           "clients", // what a client hands to RESTORE is checked in depth: a forged value can harm the process
	"tcp-keepalive":                   "300",
	"repl-backlog-size":               "16mb",
	"cluster-require-full-coverage":   "yes",
	"cluster-node-timeout":            "5000", // milliseconds until a primary that does not answer is replaced
	"cluster-allow-replica-migration": "no",   // replicas stay with the shard they were made for
	"ignore-warnings":                 "ARM64-COW-BUG",
}

// owned settings are written by File itself; a parameter of the same name is refused.
var owned = []string{"bind", "port", "tls-port", "dir", "dbfilename", "logfile", "daemonize", "pidfile", "supervised", "protected-mode",
	"aclfile", "requirepass", "masteruser", "masterauth", "primaryuser", "primaryauth", "user", "rename-command", "include", "loadmodule",
	"enable-debug-command", "enable-protected-configs", "enable-module-command", "unixsocket", "unixsocketperm", "cluster-enabled", "cluster-config-file",
	"cluster-port", "cluster-announce-ip", "cluster-announce-port", "cluster-announce-bus-port", "cluster-announce-tls-port", "replica-announce-ip",
	"replica-announce-port", "slave-announce-ip", "slave-announce-port", "replicaof", "slaveof", "maxmemory", "appendonly", "tls-cert-file", "tls-key-file",
	"tls-ca-cert-file", "tls-ca-cert-dir", "tls-auth-clients", "tls-replication", "tls-cluster", "syslog-enabled", "bind-source-addr",
	"save", "rdb-del-sync-files", "shutdown-on-sigterm", "shutdown-on-sigint"}

// File is the text of the configuration file. It holds a password: write it with mode 0600.
func (c Config) File() (string, error) {
	if c.Engine == Memcached {
		return "", errors.New("memcached is configured by its command line")
	}
	if c.Address == "" || c.Port < 1 || c.Port > 65535 || c.Dir == "" {
		return "", fmt.Errorf("engine configuration needs a directory, an address and a port: %q %q %d", c.Dir, c.Address, c.Port)
	}
	if c.Admin.IsZero() {
		return "", errors.New("engine configuration needs the admin password")
	}
	var b strings.Builder
	put := func(name string, values ...string) {
		b.WriteString(name)
		for _, v := range values {
			b.WriteByte(' ')
			b.WriteString(Quote(v))
		}
		b.WriteByte('\n')
	}
	settings := maps.Clone(defaults)
	for name, value := range c.Parameters {
		low := strings.ToLower(name)
		if slices.Contains(owned, low) {
			return "", fmt.Errorf("parameter %s is set by Keyframe", name)
		}
		if !settingName(low) {
			return "", fmt.Errorf("parameter name %.40q is malformed", name)
		}
		settings[low] = value
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if name == bufferLimits {
			for class := range slices.Chunk(strings.Fields(settings[name]), 4) {
				put(name, class...) // class by class, as every version reads it
			}
			continue
		}
		put(name, settings[name])
	}
	port := strconv.Itoa(c.Port)
	put("bind", c.Address)
	put("protected-mode", "no") // the ACL decides who may do what
	put("daemonize", "no")
	put("supervised", "no")
	put("logfile", "") // standard output, which the supervisor points at a file
	put("dir", c.Dir)
	put("dbfilename", DataFile)
	put("aclfile", c.Dir+"/"+ACLFile)
	put("save", "")                  // no file of the engine's own making may come back as data
	put("rdb-del-sync-files", "yes") // nor one that a replica received
	put("shutdown-on-sigterm", "nosave")
	put("shutdown-on-sigint", "nosave")
	put("masteruser", AdminUser)
	put("masterauth", c.Admin.Reveal())
	put("maxmemory", strconv.FormatInt(max(c.MaxMemory, 0), 10))
	put("appendonly", yesNo(c.AOF))
	put("enable-debug-command", "yes") // for us; the ACL keeps clients away, with the answer that AWS gives
	put("enable-module-command", "no")
	put("replica-announce-ip", c.Address)
	put("replica-announce-port", port)
	if c.TLS == nil {
		put("port", port)
	} else {
		put("port", "0")
		put("tls-port", port)
		put("tls-cert-file", c.TLS.Cert)
		put("tls-key-file", c.TLS.Key)
		put("tls-ca-cert-file", c.TLS.CA)
		put("tls-auth-clients", "no")
		put("tls-replication", "yes")
		put("tls-cluster", yesNo(c.Cluster))
	}
	if c.Cluster {
		if c.BusPort < 1 || c.BusPort > 65535 || c.BusPort == c.Port {
			return "", fmt.Errorf("cluster bus port %d is not usable beside port %d", c.BusPort, c.Port)
		}
		put("cluster-enabled", "yes")
		put("cluster-config-file", NodesFile)
		put("cluster-announce-ip", c.Address)
		put("cluster-port", strconv.Itoa(c.BusPort)) // the default of port+10000 may not exist
	} else if c.ReplicaOf.Address != "" {
		put("replicaof", c.ReplicaOf.Address, strconv.Itoa(c.ReplicaOf.Port))
	}
	return b.String(), nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func settingName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return s != ""
}

// Quote writes a value as one argument of a configuration line, whatever bytes it holds.
func Quote(s string) string {
	const hexDigits = "0123456789abcdef"
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := range len(s) {
		switch ch := s[i]; {
		case ch == '"' || ch == '\\':
			b = append(b, '\\', ch)
		case ch < 0x20 || ch >= 0x7f:
			b = append(b, '\\', 'x', hexDigits[ch>>4], hexDigits[ch&15])
		default:
			b = append(b, ch)
		}
	}
	return string(append(b, '"'))
}

// BusPort picks the cluster bus port that belongs to a client port: the usual distance of 10000, downwards where there is
// no room above.
func BusPort(port int) int {
	if port+10000 <= 65535 {
		return port + 10000
	}
	return port - 10000
}
