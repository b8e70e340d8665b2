package supervisor

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyframe/keyframe/internal/engine"
)

// PortRange is an inclusive range of TCP ports.
type PortRange struct{ First, Last int }

// Addresses says where nodes listen.
type Addresses struct {
	// Network gives each node a loopback address of its own, on which it listens on the port that was asked for.
	// Default 127.42.0.0/16.
	Network netip.Prefix
	// Fallback ports are used on that address when something listens on the wanted port of every address. Default 20000-29999.
	Fallback PortRange
	// NodeAddress, when set, is the one address on which all nodes listen, each on a port out of NodePorts.
	NodeAddress netip.Addr
	NodePorts   PortRange
	// LeaseDir holds the lock files of leases; it must be the same for everybody on the machine.
	// Default: keyframe-addresses in the directory for temporary files.
	LeaseDir string
}

func (a Addresses) orDefault() Addresses {
	if !a.Network.IsValid() {
		a.Network = netip.MustParsePrefix("127.42.0.0/16")
	}
	if a.Fallback == (PortRange{}) {
		a.Fallback = PortRange{20000, 29999}
	}
	if a.LeaseDir == "" {
		a.LeaseDir = filepath.Join(os.TempDir(), "keyframe-addresses")
	}
	return a
}

// Lease is a node's address for life.
type Lease struct {
	Address string // IP
	Port    int    // for clients
	BusPort int    // of the cluster bus; 0 outside of cluster mode
	Note    string `json:",omitempty"` // why the port is not the one that was asked for
	Names   []string
}

var (
	errTaken = errors.New("address is taken")
	errHeld  = fmt.Errorf("%w by a process that runs", errTaken) // the lock itself, not only the name in it
)

// acquire finds an address that nobody on this machine has, and writes owner, the node's directory, into its lease.
// The search starts at a place that follows from the owner: an address is not reused at once by the next cache.
func (a Addresses) acquire(owner string, port int, cluster bool) (Lease, error) {
	if err := a.prepare(); err != nil {
		return Lease{}, err
	}
	h := fnv.New32a()
	io.WriteString(h, owner)
	if a.NodeAddress.IsValid() {
		return a.acquirePort(owner, h.Sum32(), cluster)
	}
	note := ""
	if who := wildcardListener(port); who != "" {
		note = fmt.Sprintf("port %d is taken on every address by a listener on %s", port, who)
	}
	base := a.Network.Masked().Addr()
	size := uint32(1) << (base.BitLen() - a.Network.Bits())
	for i := range size - 2 {
		addr := offset(base, 1+(h.Sum32()%(size-2)+i)%(size-2))
		l := Lease{Address: addr.String(), Names: []string{addr.String()}}
		held, err := a.take(l.Names, owner)
		if errors.Is(err, errTaken) {
			continue
		}
		if err != nil {
			return Lease{}, err
		}
		ok, err := l.pickPorts(port, note, a.Fallback, cluster)
		closeAll(held)
		if ok {
			return l, nil
		}
		a.release(l, owner)
		if err != nil {
			return Lease{}, err
		}
		if note != "" {
			return Lease{}, fmt.Errorf("%s, and no port from %d to %d is free", note, a.Fallback.First, a.Fallback.Last)
		}
	}
	return Lease{}, fmt.Errorf("no address in %s is free for port %d", a.Network, port)
}

// pickPorts fills in the ports that are free on the lease's address. It reports false when the address will not do.
func (l *Lease) pickPorts(port int, note string, fallback PortRange, cluster bool) (bool, error) {
	try := func(p int) (bool, error) {
		free, err := canListen(l.Address, p)
		if !free || err != nil {
			return false, err
		}
		l.Port = p
		if !cluster {
			return true, nil
		}
		// The bus port is announced, so any will do; the usual one first.
		for i, bus := 0, engine.BusPort(p); i < 50 && bus <= 65535; i, bus = i+1, bus+1 {
			if free, err := canListen(l.Address, bus); err == nil && free && bus != p {
				l.BusPort = bus
				return true, nil
			}
		}
		return false, nil
	}
	if note == "" {
		return try(port)
	}
	for p := fallback.First; p <= fallback.Last; p++ {
		if ok, err := try(p); ok || err != nil {
			l.Note = fmt.Sprintf("%s; the node listens on port %d instead", note, p)
			return ok, err
		}
	}
	return false, nil
}

func (a Addresses) acquirePort(owner string, seed uint32, cluster bool) (Lease, error) {
	ip, n := a.NodeAddress.String(), uint32(a.NodePorts.Last-a.NodePorts.First+1)
	if a.NodePorts.First < 1 || a.NodePorts.Last > 65535 || a.NodePorts.Last < a.NodePorts.First {
		return Lease{}, fmt.Errorf("node port range %d-%d is malformed", a.NodePorts.First, a.NodePorts.Last)
	}
	for i := range n {
		l := Lease{Address: ip, Port: a.NodePorts.First + int((seed%n+i)%n)}
		l.Names = []string{portName(ip, l.Port)}
		buses := []int{0}
		if cluster {
			buses = []int{engine.BusPort(l.Port), l.Port + 20000, l.Port + 5000, l.Port - 5000}
		}
		for _, bus := range buses {
			names := l.Names
			if bus != 0 {
				if bus < 1024 || bus > 65535 {
					continue
				}
				names = append(names[:1:1], portName(ip, bus))
			}
			held, err := a.take(names, owner)
			if errors.Is(err, errTaken) {
				continue
			}
			if err != nil {
				return Lease{}, err
			}
			free, err := canListen(ip, l.Port)
			if free && bus != 0 {
				free, err = canListen(ip, bus)
			}
			closeAll(held)
			l.Names, l.BusPort = names, bus
			if free {
				return l, nil
			}
			a.release(l, owner)
			if err != nil {
				return Lease{}, err
			}
			l.Names = l.Names[:1]
		}
	}
	return Lease{}, fmt.Errorf("no port from %d to %d is free on %s", a.NodePorts.First, a.NodePorts.Last, ip)
}

func portName(ip string, port int) string { return ip + "_" + strconv.Itoa(port) }

// prepare makes the directory of leases, or checks the one that is there: its name is known, and anybody may have made it.
func (a Addresses) prepare() error {
	if err := os.MkdirAll(filepath.Dir(a.LeaseDir), 0o700); err != nil {
		return err
	}
	err := os.Mkdir(a.LeaseDir, 0o777)
	if err == nil {
		return os.Chmod(a.LeaseDir, 0o777|os.ModeSticky) // shared by the users of this machine, like the directory around it
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(a.LeaseDir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s, where this machine's leases of addresses are kept, is not a directory: remove it", a.LeaseDir)
	}
	if err := unix.Access(a.LeaseDir, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("%s, where this machine's leases of addresses are kept, is closed to this user (%w): its owner must open it to all, mode 1777", a.LeaseDir, err)
	}
	return nil
}

// claim locks the lease's files for owner. The files are to be inherited by the engine; closing them gives up our part.
func (a Addresses) claim(l Lease, owner string) ([]*os.File, error) {
	if err := a.prepare(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		held, err := a.take(l.Names, owner)
		// A process that is just being forked holds copies of our locks for a moment.
		if !errors.Is(err, errHeld) || time.Now().After(deadline) {
			if err != nil {
				err = fmt.Errorf("address %s port %d: %w", l.Address, l.Port, err)
			}
			return held, err
		}
	}
}

// keep renews an owner's lease, as directories for temporary files are swept of what looks old.
func (a Addresses) keep(l Lease, owner string, now time.Time) {
	for _, name := range l.Names {
		if held, err := a.take([]string{name}, owner); err == nil {
			closeAll(held)
		}
		// Also while the engine holds it. Another's file cannot be touched, but a link to one of ours could lead there.
		at, err := unix.TimeToTimespec(now)
		if err == nil {
			unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(a.LeaseDir, name), []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW) //nolint:errcheck // the next minute tries again
		}
	}
}

// release gives an address back, if it is still the owner's.
func (a Addresses) release(l Lease, owner string) {
	for _, name := range l.Names {
		if held, err := a.claim(Lease{Names: []string{name}}, owner); err == nil {
			os.Remove(filepath.Join(a.LeaseDir, name))
			closeAll(held)
		}
	}
}

// namesOf finds the leases that an owner holds, when there is no record of them.
func (a Addresses) namesOf(owner string) (names []string) {
	entries, err := os.ReadDir(a.LeaseDir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		f, err := os.OpenFile(filepath.Join(a.LeaseDir, e.Name()), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(f, 4096))
		f.Close()
		if err == nil && strings.TrimSuffix(string(text), "\n") == owner {
			names = append(names, e.Name())
		}
	}
	return names
}

// take locks lease files and makes them the owner's, all or none.
func (a Addresses) take(names []string, owner string) (held []*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(held)
			held = nil
		}
	}()
	for _, name := range names {
		f, err := lockFile(filepath.Join(a.LeaseDir, name), 0o644)
		if err != nil {
			return held, err
		}
		held = append(held, f)
		text, err := io.ReadAll(io.LimitReader(f, 4096))
		if err != nil {
			return held, err
		}
		switch was := strings.TrimSuffix(string(text), "\n"); {
		case was == owner:
			continue
		case was != "" && exists(was):
			return held, fmt.Errorf("%w by the node in %s", errTaken, was)
		}
		if err := f.Truncate(0); err != nil {
			return held, err
		}
		if _, err := f.WriteAt([]byte(owner+"\n"), 0); err != nil {
			return held, err
		}
	}
	return held, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// lockFile opens, creating it if need be, and locks a file that others may remove meanwhile. errTaken: somebody has it.
func lockFile(path string, perm os.FileMode) (*os.File, error) {
	for range 100 {
		f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrNotExist) {
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, perm)
			if errors.Is(err, fs.ErrExist) {
				continue
			}
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("%w by another user (%s)", errTaken, path)
		}
		if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EISDIR) {
			return nil, fmt.Errorf("%w by a link or directory that somebody put there (%s)", errTaken, path)
		}
		if err != nil {
			return nil, err
		}
		if err := plain(f); err != nil {
			f.Close()
			return nil, fmt.Errorf("%w by something else that somebody put there: %w (%s)", errTaken, err, path)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, errHeld
			}
			return nil, err
		}
		mine, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if now, err := os.Lstat(path); err == nil && os.SameFile(mine, now) {
			return f, nil
		}
		f.Close() // it was removed between open and lock
	}
	return nil, fmt.Errorf("%w: %s keeps changing", errTaken, path)
}

// plain refuses what is read from without end, and a file that has a second name, where it may be precious.
func plain(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || ok && st.Nlink > 1 {
		return fmt.Errorf("it is not a plain file (mode %v)", info.Mode())
	}
	return nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// canListen tries the port on an address.
func canListen(ip string, port int) (bool, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err == nil {
		l.Close()
		return true, nil
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return false, nil
	}
	return false, err
}

func offset(base netip.Addr, n uint32) netip.Addr {
	b := base.AsSlice()
	for i := len(b) - 1; i >= 0 && n > 0; i-- {
		n += uint32(b[i])
		b[i] = byte(n)
		n >>= 8
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// wildcardListener names the wildcard address on which something listens on the port; empty when there is none.
func wildcardListener(port int) string {
	const listening = "0A"
	for file, zero := range map[string]string{"tcp": "00000000", "tcp6": strings.Repeat("0", 32)} {
		text, err := os.ReadFile("/proc/net/" + file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) > 3 && f[3] == listening && f[1] == fmt.Sprintf("%s:%04X", zero, port) {
				if file == "tcp6" {
					// It may or may not take IPv4 as well; only trying tells.
					if free, err := canListen("127.255.255.253", port); free || err != nil {
						continue
					}
					return fmt.Sprintf("[::]:%d", port)
				}
				return fmt.Sprintf("0.0.0.0:%d", port)
			}
		}
	}
	return ""
}
