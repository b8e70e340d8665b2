//go:build !linux

package capture

import "net"

// setLowWater reports false: other systems do without.
func setLowWater(*net.TCPConn, int) bool { return false }
