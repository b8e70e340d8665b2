//go:build arm64 && !purego

package crc64

import (
	"encoding/binary"
	"testing"
)

// The ability is believed only when the vector says so.
func TestHardwareHas(t *testing.T) {
	t.Parallel()
	vector := func(pairs ...uint64) (p []byte) {
		for _, v := range pairs {
			p = binary.LittleEndian.AppendUint64(p, v)
		}
		return p
	}
	for _, c := range []struct {
		name string
		auxv []byte
		want bool
	}{
		{"nothing", nil, false},
		{"with it", vector(6, 4096, tagHardware, hardwarePMULL|3, 0, 0), true},
		{"without it", vector(tagHardware, ^uint64(hardwarePMULL), 0, 0), false},
		{"no such tag", vector(6, hardwarePMULL, 0, 0), false},
		{"cut", vector(tagHardware, hardwarePMULL)[:15], false},
	} {
		if got := hardwareHas(c.auxv, hardwarePMULL); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
