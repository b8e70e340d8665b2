//go:build !linux

package memcache

import "net"

func setLowWater(*net.TCPConn, int) bool { return false }
