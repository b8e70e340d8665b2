//go:build !linux

package disk

import "os"

func startWriteback(*os.File, int64, int64) {}

func adviseSequential(*os.File) {}
