//go:build arm64 && !purego

package crc64

import (
	"encoding/binary"
	"os"
	"runtime"
)

// There is no wider multiplication here.
const (
	canFoldWide = false
	wideMinimum = 0
)

func updateWide(crc uint64, p []byte) (uint64, []byte) { return crc, p }

// hasCarrylessMultiply tells whether the processor has PMULL for 64 bits. Its
// own registers cannot be read everywhere by programs, so the system is asked;
// where none answers, the tables work.
func hasCarrylessMultiply() bool {
	switch runtime.GOOS {
	case "linux", "android":
		auxv, err := os.ReadFile("/proc/self/auxv")
		return err == nil && hardwareHas(auxv, hardwarePMULL)
	case "darwin", "ios":
		return true // every processor that these systems run on
	}
	return false
}

// The kernel hands every program a vector of pairs, a tag and a value. The value
// behind this tag has a bit for each ability of the processor.
const (
	tagHardware   = 16
	hardwarePMULL = 1 << 4
)

// hardwareHas looks for a bit of the ability word. A vector without it has none.
func hardwareHas(auxv []byte, bit uint64) bool {
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		if binary.LittleEndian.Uint64(auxv) == tagHardware {
			return binary.LittleEndian.Uint64(auxv[8:])&bit != 0
		}
	}
	return false
}
