package capture

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// socket is a TCP connection that is read in large pieces. Engines send small ones, and to be woken for each costs more than all that is
// done with the bytes. Its system calls never wait, so they are made past the scheduler: told of one, it would wake a thread that
// watches for how long it takes.
type socket struct{ raw syscall.RawConn }

// newSocket is nil where there is none.
func newSocket(c net.Conn) *socket {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return &socket{raw}
}

// gather makes the socket readable only once n bytes are there, and reports whether that worked. The kernel makes room for so many.
func (s *socket) gather(n int) bool {
	var set error
	if err := s.raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n)
	}); err != nil {
		return false
	}
	return set == nil
}

// read waits until the socket is readable, and reads.
func (s *socket) read(p []byte) (n int, err error) {
	woken := false
	waited := s.raw.Read(func(fd uintptr) bool {
		if !woken && !readable(fd) {
			woken = true
			return false
		}
		n, err = recv(fd, p)
		return err != syscall.EAGAIN
	})
	if waited != nil {
		return 0, waited
	}
	return n, err
}

// take reads what there is, however little. It never waits; nothing is 0 bytes without an error.
func (s *socket) take(p []byte) (n int, err error) {
	if failed := s.raw.Control(func(fd uintptr) { n, err = recv(fd, p) }); failed != nil {
		return 0, failed
	}
	if err == syscall.EAGAIN {
		return 0, nil
	}
	return n, err
}

const (
	pollIn    = 0x1
	pollRDHup = 0x2000 // the other side has closed
)

// readable tells whether as much is there as is gathered, or nothing more will come.
func readable(fd uintptr) bool {
	ask := struct {
		fd             int32
		events, result int16
	}{int32(fd), pollIn | pollRDHup, 0}
	var now syscall.Timespec
	n, _, e := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&ask)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return e != 0 || n > 0
}

func recv(fd uintptr, p []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_DONTWAIT, 0, 0)
		switch {
		case e == syscall.EINTR:
			continue
		case e == syscall.EAGAIN:
			return 0, syscall.EAGAIN
		case e != 0:
			return 0, os.NewSyscallError("recvfrom", e)
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		return int(n), nil
	}
}
