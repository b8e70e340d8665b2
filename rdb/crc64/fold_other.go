//go:build (!amd64 && !arm64) || purego

package crc64

const (
	canFold     = false
	foldMinimum = 1
)

// updateFolding is never reached: this processor has no folding.
func updateFolding(crc uint64, p []byte) uint64 { return updateTables(crc, p) }
