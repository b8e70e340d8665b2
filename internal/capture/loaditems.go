package capture

import (
	"context"
	"errors"
	"io"
)

// Items captures the items of a Memcached cache and writes them to w as an itemfile.
func Items(ctx context.Context, src Source, w io.Writer, o Options) (*ItemsResult, error) {
	return nil, errors.ErrUnsupported
}

// LoadItems stores the items of a file in an empty Memcached cache and reads them back.
func LoadItems(ctx context.Context, src Source, r io.Reader, o LoadOptions) (*LoadResult, error) {
	return nil, errors.ErrUnsupported
}
