package capture

import (
	"net"
	"syscall"
)

// setLowWater makes the socket readable only once n bytes are there, and reports whether that worked.
func setLowWater(c *net.TCPConn, n int) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n)
	}); err != nil {
		return false
	}
	return set == nil
}
