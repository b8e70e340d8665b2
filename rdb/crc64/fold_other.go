//go:build (!amd64 && !arm64) || purego

package crc64

const (
	canFold     = false
	foldMinimum = 1
)

// The ways of folding are never reached: this processor, or this build, has none.
func updateFolding(crc uint64, p []byte) uint64 { return updateTables(crc, p) }

func updateNarrow(crc uint64, p []byte) uint64 { return updateTables(crc, p) }
