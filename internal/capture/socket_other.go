//go:build !linux

package capture

import "net"

// socket exists on Linux only. Elsewhere captures read as the standard library does.
type socket struct{}

func newSocket(net.Conn) *socket             { return nil }
func (s *socket) gather(int) bool            { return false }
func (s *socket) read([]byte) (int, error)   { return 0, net.ErrClosed }
func (s *socket) take(p []byte) (int, error) { return s.read(p) }
