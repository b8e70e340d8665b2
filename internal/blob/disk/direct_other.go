//go:build !linux

package disk

import "os"

// setDirect says that there are no direct writes here.
func setDirect(*os.File, bool) bool { return false }
