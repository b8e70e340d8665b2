package supervisor

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
)

// authority is the local CA. It is made when the first node wants TLS.
type authority struct {
	dir string
	now func() time.Time

	mu   sync.Mutex
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

const (
	caCertFile   = "ca.pem"
	caKeyFile    = "ca-key.pem"
	certLifetime = 10 * 365 * 24 * time.Hour // a node keeps its certificate as long as it runs
	clockSkew    = 24 * time.Hour
)

// CAFile is the path of the certificate that clients of TLS nodes must trust. It exists once a TLS node was started.
func (s *Supervisor) CAFile() string { return filepath.Join(s.opts.Dir, caCertFile) }

func (a *authority) client() (*tls.Config, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// files issues a fresh certificate for a node, to be used from its next start on; nil for a node without TLS.
func (a *authority) files(n Node) (*engine.TLSFiles, error) {
	if !n.TLS {
		return nil, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{
		Subject:     pkix.Name{CommonName: n.ID},
		IPAddresses: []net.IP{net.ParseIP(n.Lease.Address)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, // replicas are clients
	}
	der, err := a.sign(cert, a.cert, key, a.key)
	if err != nil {
		return nil, err
	}
	f := &engine.TLSFiles{CA: filepath.Join(a.dir, caCertFile), Cert: filepath.Join(n.Dir, "node.pem"), Key: filepath.Join(n.Dir, "node-key.pem")}
	return f, writePair(f.Cert, f.Key, der, key)
}

func (a *authority) sign(c, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	c.SerialNumber = serial
	c.NotBefore = a.now().Add(-clockSkew)
	c.NotAfter = c.NotBefore.Add(certLifetime)
	return x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
}

// load reads the CA, or makes it.
func (a *authority) load() error {
	if a.cert != nil {
		return nil
	}
	certPath, keyPath := filepath.Join(a.dir, caCertFile), filepath.Join(a.dir, caKeyFile)
	cert, cerr := os.ReadFile(certPath)
	key, kerr := os.ReadFile(keyPath)
	if errors.Is(cerr, fs.ErrNotExist) {
		// The key is written first, so a CA without certificate has never been used.
		return a.create(certPath, keyPath)
	}
	if err := errors.Join(cerr, kerr); err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", certPath, keyPath, err)
	}
	signer, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return fmt.Errorf("%s is not an ECDSA key", keyPath)
	}
	a.cert, a.key = pair.Leaf, signer
	return nil
}

func (a *authority) create(certPath, keyPath string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Keyframe local CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, MaxPathLenZero: true,
	}
	der, err := a.sign(cert, cert, key, key)
	if err != nil {
		return err
	}
	if err := writePair(certPath, keyPath, der, key); err != nil {
		return err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	a.key = key
	return nil
}

func writePair(certPath, keyPath string, der []byte, key *ecdsa.PrivateKey) error {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	if err := pem.Encode(&buf, &pem.Block{Type: "PRIVATE KEY", Bytes: raw}); err != nil {
		return err
	}
	if err := writeFile(keyPath, buf.Bytes()); err != nil {
		return err
	}
	return writeFile(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
