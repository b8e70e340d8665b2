//go:build amd64 && !purego

package crc64

// hasCarrylessMultiply asks the processor for PCLMULQDQ.
func hasCarrylessMultiply() bool
