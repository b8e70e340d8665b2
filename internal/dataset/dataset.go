// Package dataset fills engines with data of every type, the same for the same seed, and digests what an engine holds, so that
// two engines can be compared. The demo, the tests and the benchmarks use it.
package dataset

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
)

// Server is an engine to write to or read from.
type Server struct {
	Address  string // ip:port
	User     string // empty logs in with the password alone
	Password engine.Secret
	TLS      *tls.Config // nil is plain TCP
}

// At is the engine at ip:port, without TLS and password.
func At(address string) Server { return Server{Address: address} }

// limits let a digest read the largest string that an engine takes by default.
var limits = resp.Limits{Bulk: 512 << 20, Total: 1 << 30, Elems: 64 << 20}

func (s Server) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	if s.TLS == nil {
		return nc, nil
	}
	cfg := s.TLS
	if host, _, err := net.SplitHostPort(s.Address); err == nil && cfg.ServerName == "" {
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("dataset: TLS with %s: %w", s.Address, err)
	}
	return tc, nil
}

// connect returns a connection that is logged in.
func (s Server) connect(ctx context.Context) (*resp.Conn, error) {
	nc, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := resp.NewConn(nc, limits)
	if !s.Password.IsZero() {
		if err := c.Auth(ctx, s.User, s.Password.Reveal()); err != nil {
			c.Close()
			return nil, fmt.Errorf("dataset: log in to %s: %w", s.Address, err)
		}
	}
	return c, nil
}

// Spec says what Fill writes. Zero fields take the defaults in brackets.
type Spec struct {
	Keys      int       // all types together [10,000]
	Seed      uint64    // same seed, same keys and values
	Mix       Mix       // shares of the types [DefaultMix]
	ValueMin  int       // bytes of a string value [100]
	ValueMax  int       // [1024]
	TTLShare  float64   // of the keys that can expire, 0 to 1; negative is none [0.2]
	Epoch     time.Time // expiries lie between one hour and 30 days after it [2100-01-01]
	Prefix    string    // before each key's name
	Databases int       // keys are spread over databases 0 to n-1; cluster mode allows 1 [1]
	Functions bool      // load a function library too
	Workers   int       // connections [2]

	// Owns restricts Fill to some keys, such as those of one shard: shards filled with one Spec and disjoint Owns hold together
	// what one engine would hold. Nil is all.
	Owns func(key []byte) bool
}

// bytesPerKey is what a key of the default mix takes in an RDB without LZF (measured).
const bytesPerKey = 530

// Sized is the default data set that makes an RDB of about n bytes.
func Sized(n int64, seed uint64) Spec {
	return Spec{Keys: max(int(n/bytesPerKey), 100), Seed: seed}
}

func (s Spec) withDefaults() Spec {
	if s.Keys == 0 {
		s.Keys = 10_000
	}
	if s.Mix == (Mix{}) {
		s.Mix = DefaultMix
	}
	if s.ValueMin == 0 {
		s.ValueMin = 100
	}
	if s.ValueMax == 0 {
		s.ValueMax = max(1024, s.ValueMin)
	}
	if s.TTLShare == 0 {
		s.TTLShare = 0.2
	}
	if s.Epoch.IsZero() {
		s.Epoch = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	s.Databases = max(s.Databases, 1)
	if s.Workers == 0 {
		s.Workers = 2
	}
	return s
}

func (s Spec) check() error {
	switch {
	case s.Keys < 0 || s.Keys > 1<<31:
		return fmt.Errorf("dataset: Keys is %d, want 0 to 2^31", s.Keys)
	case s.ValueMin < 0 || s.ValueMax < s.ValueMin || s.ValueMax > 512<<20:
		return fmt.Errorf("dataset: values of %d to %d bytes, want 0 to 512 MiB in order", s.ValueMin, s.ValueMax)
	case s.TTLShare > 1:
		return fmt.Errorf("dataset: TTLShare is %v, want at most 1", s.TTLShare)
	case s.Workers < 0 || s.Workers > 64:
		return fmt.Errorf("dataset: Workers is %d, want 1 to 64", s.Workers)
	}
	return s.Mix.check()
}
