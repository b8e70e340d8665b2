//go:build !linux

package buckets

import "os"

func startWriteback(*os.File, int64, int64) {}
