package memcache

import (
	"net"
	"syscall"
)

// setLowWater asks the kernel to wake a reader for n bytes at the earliest. It tells whether it does.
func setLowWater(c *net.TCPConn, n int) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var serr error
	err = raw.Control(func(fd uintptr) { serr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n) })
	return err == nil && serr == nil
}
