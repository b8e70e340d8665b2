package app

import (
	"context"
	"time"

	"github.com/keyframe/keyframe/internal/config"
	"github.com/keyframe/keyframe/internal/kms"
)

// OpenKeys opens whoever holds the keys that wrap data keys.
func OpenKeys(ctx context.Context, c config.Config) (kms.Provider, error) {
	switch c.KMS.Provider {
	case "aws":
		return kms.OpenAWS(ctx, kms.AWSOptions{Endpoint: c.KMS.AWSEndpoint, DefaultKey: c.KMS.DefaultKey})
	case "vault":
		return kms.OpenVault(kms.VaultOptions{Address: c.KMS.VaultAddress, Token: c.KMS.VaultToken, DefaultKey: c.KMS.DefaultKey, Mount: c.KMS.VaultMount})
	}
	return OpenRing(c)
}

// OpenRing opens the local key ring of a data directory. The command line changes it while a server runs.
func OpenRing(c config.Config) (*kms.Local, error) {
	return kms.OpenLocal(c.Data, time.Now)
}
