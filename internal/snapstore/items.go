package snapstore

import (
	"context"
	"fmt"
	"io"

	"github.com/keyframe/keyframe/internal/itemfile"
)

// scanItems reads every item of a file and verifies its counts, hash and checksum, and its exact end.
func scanItems(_ context.Context, r io.Reader) (Scanned, error) {
	file, err := itemfile.NewReader(r, itemfile.Options{})
	for err == nil {
		_, err = file.Next()
	}
	if file == nil || file.Summary() == nil {
		return Scanned{}, err
	}
	sum := file.Summary()
	got := Scanned{Keys: sum.Items, Expiring: sum.Expiring, Bytes: sum.Bytes}
	got.Content, got.Expiry = ItemSums(sum.Sum)
	return got, nil
}

// ItemSums writes the sums of items as manifests hold them.
func ItemSums(s itemfile.Sum) (content, expiry string) {
	return s.Content.String(), fmt.Sprintf("%016x", s.Expiry)
}
