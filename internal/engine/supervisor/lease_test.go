package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// small is a policy over six addresses, with leases of the test's own.
func small(t *testing.T) Addresses {
	return Addresses{Network: netip.MustParsePrefix("127.43.9.0/29"), LeaseDir: t.TempDir()}.orDefault()
}

func owner(t *testing.T, base string, i int) string {
	t.Helper()
	dir := filepath.Join(base, strconv.Itoa(i))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// freePort is a port that nothing listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestLeasesNeverCollide(t *testing.T) {
	t.Parallel()
	a, base, port := small(t), t.TempDir(), freePort(t)
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for i := range 6 {
		dir := owner(t, base, i)
		wg.Go(func() {
			// Somebody else may hold an address for an instant while looking at it.
			for range 100 {
				l, err := a.acquire(dir, port, true)
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					got[l.Address]++
					return
				}
			}
			t.Errorf("%s got no address", dir)
		})
	}
	wg.Wait()
	if len(got) != 6 {
		t.Errorf("addresses: %v", got)
	}
	if l, err := a.acquire(owner(t, base, 7), port, false); err == nil {
		t.Errorf("a seventh lease of six: %+v", l)
	}
	// An owner that asks again has what it had; one whose directory is gone has nothing.
	if _, err := a.acquire(owner(t, base, 3), port, false); err != nil {
		t.Error(err)
	}
	os.Remove(owner(t, base, 3))
	if _, err := a.acquire(owner(t, base, 8), port, false); err != nil {
		t.Errorf("a dead owner's address is not given away: %v", err)
	}
}

func TestLeaseIsHeldByWhoeverHasTheFile(t *testing.T) {
	t.Parallel()
	a, base, port := small(t), t.TempDir(), freePort(t)
	dir := owner(t, base, 1)
	l, err := a.acquire(dir, port, false)
	if err != nil {
		t.Fatal(err)
	}
	held, err := a.claim(l, dir)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(dir) // the owner's directory is gone, but its process runs
	if _, err := a.take(l.Names, owner(t, base, 2)); !errors.Is(err, errTaken) {
		t.Errorf("a running process's address is taken: %v", err)
	}
	closeAll(held)
	held, err = a.claim(l, owner(t, base, 2))
	if err != nil {
		t.Error(err)
	}
	closeAll(held)
	a.release(l, dir) // not its own any more
	if _, err := os.Stat(filepath.Join(a.LeaseDir, l.Names[0])); err != nil {
		t.Errorf("another's lease was released: %v", err)
	}
	a.release(l, owner(t, base, 2))
	if left, _ := os.ReadDir(a.LeaseDir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// The directory of leases is open to every user of the machine.
func TestLeasesBesideStrangers(t *testing.T) {
	t.Parallel()
	a, base, port := small(t), t.TempDir(), freePort(t)
	precious := filepath.Join(base, "precious")
	old := time.Unix(1e9, 0)
	if err := errors.Join(os.WriteFile(precious, []byte("do not touch"), 0o600), os.Chtimes(precious, old, old)); err != nil {
		t.Fatal(err)
	}
	at := func(i int) string { return filepath.Join(a.LeaseDir, fmt.Sprintf("127.43.9.%d", i)) }
	if err := errors.Join(os.Symlink(precious, at(1)), os.Link(precious, at(2)), syscall.Mkfifo(at(3), 0o666), os.Mkdir(at(4), 0o777)); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for i := range 2 {
		l, err := a.acquire(owner(t, base, i), port, false)
		if err != nil {
			t.Fatal(err)
		}
		got[l.Address] = true
	}
	if !got["127.43.9.5"] || !got["127.43.9.6"] {
		t.Errorf("leases are %v", got)
	}
	if l, err := a.acquire(owner(t, base, 3), port, false); err == nil {
		t.Errorf("%+v was leased", l)
	}
	a.keep(Lease{Names: []string{"127.43.9.1"}}, owner(t, base, 3), time.Now())
	text, err := os.ReadFile(precious)
	info, err2 := os.Stat(precious)
	if err := errors.Join(err, err2); err != nil || string(text) != "do not touch" || !info.ModTime().Equal(old) {
		t.Errorf("a stranger's file is %q of %v, %v", text, info.ModTime(), err)
	}
}

func TestLeaseDirectoryOfStrangers(t *testing.T) {
	t.Parallel()
	a, base := small(t), t.TempDir()
	a.LeaseDir = filepath.Join(base, "leases")
	if err := os.Symlink(owner(t, base, 1), a.LeaseDir); err != nil {
		t.Fatal(err)
	}
	if l, err := a.acquire(owner(t, base, 0), freePort(t), false); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a link in place of the directory: %+v, %v", l, err)
	}
	if os.Geteuid() == 0 {
		return // whom nothing is closed to
	}
	if err := errors.Join(os.Remove(a.LeaseDir), os.Mkdir(a.LeaseDir, 0o500)); err != nil {
		t.Fatal(err)
	}
	if l, err := a.acquire(owner(t, base, 0), freePort(t), false); err == nil || !strings.Contains(err.Error(), "closed to this user") {
		t.Errorf("a closed directory: %+v, %v", l, err)
	}
}

func TestListenerKeepsItsAddress(t *testing.T) {
	t.Parallel()
	a := Addresses{Network: netip.MustParsePrefix("127.43.10.0/30"), LeaseDir: t.TempDir()}.orDefault()
	port := freePort(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.43.10.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got, err := a.acquire(owner(t, t.TempDir(), 1), port, false)
	if err != nil || got.Address != "127.43.10.2" || got.Port != port {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWildcardListenerIsReported(t *testing.T) {
	t.Parallel()
	for _, wild := range []string{"0.0.0.0:0", "[::]:0"} {
		l, err := net.Listen("tcp", wild)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		got, err := small(t).acquire(owner(t, t.TempDir(), 1), port, true)
		if err != nil {
			t.Fatal(err)
		}
		if got.Port == port || got.BusPort == 0 || !strings.Contains(got.Note, fmt.Sprintf("port %d is taken on every address", port)) {
			t.Errorf("%+v", got)
		}
	}
	if who := wildcardListener(freePort(t)); who != "" {
		t.Errorf("nobody listens on %s", who)
	}
}

func TestOneAddressManyPorts(t *testing.T) {
	t.Parallel()
	first := 0
	for try := 30000 + os.Getpid()%2000; first == 0; try += 10 { // three ports in a row that are free
		ok := true
		for p := try; p < try+3; p++ {
			for _, bus := range []int{0, 10000} {
				free, err := canListen("127.0.0.1", p+bus)
				ok = ok && free && err == nil
			}
		}
		if ok {
			first = try
		}
	}
	a := Addresses{NodeAddress: netip.MustParseAddr("127.0.0.1"), NodePorts: PortRange{first, first + 2}, LeaseDir: t.TempDir()}.orDefault()
	base, seen := t.TempDir(), map[int]bool{}
	for i := range 3 {
		l, err := a.acquire(owner(t, base, i), 6379, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []int{l.Port, l.BusPort} {
			if seen[p] || p == 0 {
				t.Errorf("port %d is given twice", p)
			}
			seen[p] = true
		}
		if l.Port < first || l.Port > first+2 {
			t.Errorf("port %d is out of range", l.Port)
		}
	}
	if l, err := a.acquire(owner(t, base, 9), 6379, true); err == nil {
		t.Errorf("a fourth lease of three: %+v", l)
	}
	a.NodePorts = PortRange{5, 4}
	if _, err := a.acquire(owner(t, base, 9), 6379, true); err == nil {
		t.Error("a backward range is taken")
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (a) b) S 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23"))
	f.Add([]byte("1 (x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if st, err := parseStat(b); err == nil && (!letter(st.state) || bytes.IndexByte(b, st.state) < 0) {
			t.Fatalf("%q: %+v", b, st)
		}
	})
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	st, err := parseStat([]byte("7 (red) is (x)) Z 2 3 44 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23"))
	if err != nil || st != (stat{'Z', 44, 20}) || !st.dead() {
		t.Errorf("%+v, %v", st, err)
	}
	if id, err := identify(os.Getpid()); err != nil || !id.alive() {
		t.Errorf("%+v, %v", id, err)
	}
	if (identity{PID: os.Getpid(), Start: 1, Boot: "x"}).alive() {
		t.Error("another process's identity is alive")
	}
}

func TestLogsStayBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, err := openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for i := range 1000 {
		fmt.Fprintf(log, "line %d\n", i)
	}
	if err := trimLog(dir, 100); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(log, "after")
	now, _ := os.ReadFile(filepath.Join(dir, logName))
	old, _ := os.ReadFile(filepath.Join(dir, logName+".1"))
	if string(now) != "after\n" || len(old) != 100 || !strings.HasSuffix(string(old), "line 999\n") {
		t.Errorf("now %q, before %q", now, old)
	}
}
