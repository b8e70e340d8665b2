package crc64

import (
	"os"
	"syscall"
	"testing"
)

// Not a byte before or behind the buffer is touched: the pages there fault.
func TestStaysInside(t *testing.T) {
	t.Parallel()
	page := os.Getpagesize()
	m, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(m); err != nil {
			t.Error(err)
		}
	})
	for _, off := range []int{0, 2 * page} {
		if err := syscall.Mprotect(m[off:off+page], syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	inside := m[page : 2*page]
	copy(inside, noise(15, page))
	for n := range 1200 {
		agree(t, 1, inside[page-n:])
		agree(t, 2, inside[:n])
	}
	agree(t, 3, inside)
}
