package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// mem is a client of memcached that speaks the classic protocol, which no part of the product does: what the product reads and writes by
// meta commands, this one reads back by get.
type mem struct {
	net.Conn
	r *bufio.Reader
}

func dialMem(t *testing.T, address string, trust *tls.Config) *mem {
	t.Helper()
	var nc net.Conn
	var err error
	if trust != nil {
		nc, err = tls.Dial("tcp", address, trust)
	} else {
		nc, err = net.Dial("tcp", address)
	}
	if err == nil {
		err = nc.SetDeadline(time.Now().Add(time.Minute))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &mem{nc, bufio.NewReader(nc)}
}

// memItem is what a client sees of an item.
type memItem struct {
	Flags uint32
	Value string
}

// set stores an item; exptime is as the protocol has it.
func (m *mem) set(t *testing.T, key string, flags uint32, exptime int64, value string) {
	t.Helper()
	if _, err := fmt.Fprintf(m, "set %s %d %d %d\r\n%s\r\n", key, flags, exptime, len(value), value); err != nil {
		t.Fatal(err)
	}
	if line := m.line(t); line != "STORED" {
		t.Fatalf("set %q: %s", key, line)
	}
}

func (m *mem) line(t *testing.T) string {
	t.Helper()
	line, err := m.r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(line, "\r\n")
}

// get fetches some keys; those that are missing are not in the answer.
func (m *mem) get(t *testing.T, keys ...string) map[string]memItem {
	t.Helper()
	found := map[string]memItem{}
	for len(keys) > 0 {
		n := min(len(keys), 100)
		if _, err := fmt.Fprintf(m, "get %s\r\n", strings.Join(keys[:n], " ")); err != nil {
			t.Fatal(err)
		}
		keys = keys[n:]
		for {
			line := m.line(t)
			if line == "END" {
				break
			}
			f := strings.Fields(line) // VALUE key flags bytes
			if len(f) != 4 || f[0] != "VALUE" {
				t.Fatalf("get answers %q", line)
			}
			flags, _ := strconv.ParseUint(f[2], 10, 32)
			size, _ := strconv.Atoi(f[3])
			body := make([]byte, size+2)
			if _, err := io.ReadFull(m.r, body); err != nil {
				t.Fatal(err)
			}
			found[f[1]] = memItem{uint32(flags), string(body[:size])}
		}
	}
	return found
}

func (m *mem) stat(t *testing.T, name string, args ...string) string {
	t.Helper()
	fmt.Fprintf(m, "%s\r\n", strings.Join(append([]string{"stats"}, args...), " ")) //nolint:errcheck // the answer tells
	value := ""
	for {
		line := m.line(t)
		if line == "END" {
			return value
		}
		if f := strings.SplitN(line, " ", 3); len(f) == 3 && f[1] == name {
			value = f[2]
		}
	}
}

func memcached(in *elasticache.CreateServerlessCacheInput) { in.Engine = aws.String("memcached") }

func TestServerlessMemcached(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.as("default", "us-east-1")
	made := ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("sessions", memcached, func(in *elasticache.CreateServerlessCacheInput) {
		in.CacheUsageLimits, in.MajorEngineVersion, in.SnapshotRetentionLimit = storage(nil, aws.Int32(2)), aws.String("1.6"), aws.Int32(2)
		in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("web")}}
	})).ServerlessCache
	if *made.Engine != "memcached" || *made.MajorEngineVersion != "1.6" || *made.Status != "creating" || len(*made.DailySnapshotTime) != 5 {
		t.Errorf("a memcached cache in the making shows %+v", *made)
	}
	made = c.status(t, "sessions", "available", "create-failed")
	if *made.Status != "available" || *made.Endpoint.Port != 11211 || made.ReaderEndpoint == nil || !strings.HasPrefix(*made.FullEngineVersion, "1.6.") {
		t.Fatalf("it shows %+v: %q", *made, c.events(t, "serverless-cache", "sessions"))
	}
	wantEvent(t, c.events(t, "serverless-cache", "sessions"), "Cache sessions is created. Your cache is ready to use.")
	m := dialMem(t, address(made), nil)
	if got := m.stat(t, "limit_maxbytes"); got != strconv.Itoa(2<<30) {
		t.Errorf("its memory is %s", got)
	}
	m.set(t, "k", 7, 0, "v")
	ok[*types.ServerlessCache](t)(c.modify("sessions", func(in *elasticache.ModifyServerlessCacheInput) { in.CacheUsageLimits = storage(nil, aws.Int32(1)) }))
	c.status(t, "sessions", "available")
	if got := m.stat(t, "limit_maxbytes"); got != strconv.Itoa(1<<30) {
		t.Errorf("its memory after the change is %s", got)
	}
	if got := m.get(t, "k", "none"); len(got) != 1 || got["k"] != (memItem{7, "v"}) {
		t.Errorf("after the change it holds %v", got)
	}
	t.Run("refused", func(t *testing.T) { refusedMemcached(t, c) })
	ok[*elasticache.DeleteServerlessCacheOutput](t)(c.DeleteServerlessCache(t.Context(), &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("sessions")}))
	c.gone(t, "sessions")
}

// refusedMemcached is what memcached has not.
func refusedMemcached(t *testing.T, c *client) {
	type create = elasticache.CreateServerlessCacheInput
	type modify = elasticache.ModifyServerlessCacheInput
	_, err := c.newCache("users", memcached, func(in *create) { in.UserGroupId = aws.String("team") })
	wantFault[invalidCombination](t, err, 400, "User groups are not available for memcached.")
	_, err = c.modify("sessions", func(in *modify) { in.UserGroupId = aws.String("team") })
	wantFault[invalidCombination](t, err, 400, "User groups are not available for memcached.")
	_, err = c.newCache("version", memcached, func(in *create) { in.MajorEngineVersion = aws.String("1.5") })
	wantFault[invalidValue](t, err, 400, "1.5")
	_, err = c.newCache("version", memcached, func(in *create) { in.MajorEngineVersion = aws.String("1.6.22") })
	wantFault[invalidValue](t, err, 400, "1.6.22")
	_, err = c.modify("sessions", func(in *modify) { in.Engine = aws.String("valkey") })
	wantFault[invalidCombination](t, err, 400, "memcached", "valkey")
}

// fillMem stores items of many kinds and returns those that are still there in an hour.
func fillMem(t *testing.T, m *mem, n int) map[string]memItem {
	t.Helper()
	want := map[string]memItem{}
	in := time.Now().Unix()
	for i := range n {
		key, it := fmt.Sprintf("session:%d", i), memItem{uint32(i) * 2654435761, strings.Repeat(fmt.Sprintf("<%d>", i), i%40)}
		exptime := int64(0)
		switch i % 4 {
		case 1:
			exptime = 7200 // relative
		case 2:
			exptime = in + 40*24*3600 // absolute, beyond the thirty days
		}
		m.set(t, key, it.Flags, exptime, it.Value)
		want[key] = it
	}
	odd := map[string]memItem{"%41%00%zz": {1, "percent signs"}, "\xff\xfe\x01": {1<<32 - 1, "bytes"}, strings.Repeat("k", 250): {2, "long key"},
		"nothing": {3, ""}, "large": {4, strings.Repeat("0123456789abcdef", 60000)}, "crlf": {5, "END\r\nVA 1\r\n\x00"}}
	for key, it := range odd {
		m.set(t, key, it.Flags, 0, it.Value)
		want[key] = it
	}
	return want
}

// wantMem compares all items of a cache with those that should be there.
func wantMem(t *testing.T, m *mem, want map[string]memItem) {
	t.Helper()
	// An item whose time is up may still be counted.
	if got := m.stat(t, "curr_items"); got != strconv.Itoa(len(want)) && got != strconv.Itoa(len(want)+1) {
		t.Errorf("%s holds %s items, want %d", m.RemoteAddr(), got, len(want))
	}
	got := m.get(t, slices.Collect(maps.Keys(want))...)
	for key, it := range want {
		if got[key] != it {
			t.Errorf("%q is %d bytes with flags %d, want %d with %d", key, len(got[key].Value), got[key].Flags, len(it.Value), it.Flags)
		}
	}
}

// ttl asks how long an item lives, -1 for ever.
func (m *mem) ttl(t *testing.T, key string) int64 {
	t.Helper()
	fmt.Fprintf(m, "mg %s t\r\n", key) //nolint:errcheck // the answer tells
	line := m.line(t)
	n, err := strconv.ParseInt(strings.TrimPrefix(line, "HD t"), 10, 64)
	if err != nil {
		t.Fatalf("the life of %q is %q", key, line)
	}
	return n
}

func TestMemcachedSnapshots(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.as("default", "us-east-1")
	_, arn := s.createKey(t)
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("sessions", memcached))
	m := dialMem(t, address(c.status(t, "sessions", "available")), nil)
	want := fillMem(t, m, 2000)
	m.set(t, "short", 0, 1, "gone in a second")

	taken := c.take(t, "sessions", "s1", func(in *elasticache.CreateServerlessCacheSnapshotInput) { in.KmsKeyId = &arn })
	if size, _ := strconv.Atoi(*taken.BytesUsedForCache); size < 960000 || *taken.ServerlessCacheConfiguration.Engine != "memcached" || *taken.KmsKeyId != arn {
		t.Errorf("the snapshot shows %+v, %+v", *taken, *taken.ServerlessCacheConfiguration)
	}
	wantEvent(t, c.events(t, "serverless-cache-snapshot", "s1"), "Snapshot s1 created for cache sessions.")
	wantEvent(t, c.events(t, "serverless-cache-snapshot", "s1"), "Snapshot s1 shows no one instant")
	wantMem(t, m, want) // as it was
	ok[*types.ServerlessCacheSnapshot](t)(c.copy("s1", "c1"))
	c.snapshotIn(t, "c1", "available")
	c.newBucket(t, "exports")
	ok[*types.ServerlessCacheSnapshot](t)(c.export("c1", "exports"))
	c.snapshotIn(t, "c1", "available")
	object := ok[*s3.GetObjectOutput](t)(c.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("exports"), Key: aws.String("c1-0001.items")}))
	file := ok[[]byte](t)(io.ReadAll(object.Body))
	_, err := c.export("c1", "exports")
	wantFault[invalidValue](t, err, 400, "c1-0001.items")

	copied := c.snapshotIn(t, "c1", "available")
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("restored", memcached, from(*copied.ARN)))
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("from-file", memcached, from("arn:aws:s3:::exports/c1-0001.items")))
	for _, name := range []string{"restored", "from-file"} {
		made := c.status(t, name, "available", "create-failed")
		if *made.Status != "available" {
			t.Fatalf("%s: %q", name, c.events(t, "serverless-cache", name))
		}
		wantEvent(t, c.events(t, "serverless-cache", name), "is created and data was restored from snapshot")
		m := dialMem(t, address(made), nil)
		wantMem(t, m, want)
		for key, life := range map[string]int64{"session:0": -1, "session:1": 7200, "session:2": 40 * 24 * 3600} {
			if got := m.ttl(t, key); got > life || got < life-120 && life > 0 {
				t.Errorf("%s: %s lives for %d seconds, want %d", name, key, got, life)
			}
		}
	}
	t.Run("refused", func(t *testing.T) { refusedItems(t, c, file, *taken.ARN) })
	if out := s.cli("snapshot", "verify"); !strings.Contains(out, "good") || strings.Contains(out, "DAMAGED") {
		t.Errorf("verify says %s", out)
	}
	if out := s.cli("snapshot", "show", "s1"); !strings.Contains(out, "2007") && !strings.Contains(out, "2006") {
		t.Errorf("show says %s", out)
	}
	ok[*elasticache.DeleteServerlessCacheOutput](t)(c.DeleteServerlessCache(t.Context(), &elasticache.DeleteServerlessCacheInput{
		ServerlessCacheName: aws.String("restored"), FinalSnapshotName: aws.String("final")}))
	c.gone(t, "restored")
	c.snapshotIn(t, "final", "available")
	ok[*types.ServerlessCacheSnapshot](t)(c.deleteSnapshot("s1"))
	c.snapshotGone(t, "s1")
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("again", memcached, from(*c.snapshotIn(t, "final", "available").ARN)))
	wantMem(t, dialMem(t, address(c.status(t, "again", "available", "create-failed")), nil), want)
}

// refusedItems are restores that cannot be: across engines, and of files that are not what they should be.
func refusedItems(t *testing.T, c *client, file []byte, arn string) {
	_, err := c.newCache("cross", from(arn))
	wantFault[invalidCombination](t, err, 400, "memcached", "valkey")
	_, err = c.newCache("cross", memcached, from("arn:aws:s3:::exports/c1-0001.items", "arn:aws:s3:::exports/b"))
	wantFault[invalidValue](t, err, 400, "one file")
	_, err = c.CreateReplicationGroup(t.Context(), &elasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("g"), ReplicationGroupDescription: aws.String("d"),
		Engine: aws.String("valkey"), CacheNodeType: aws.String("cache.t4g.small"), ServerlessCacheSnapshotName: aws.String("s1")})
	wantFault[invalidCombination](t, err, 400, "memcached")
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("valkey"))
	c.status(t, "valkey", "available")
	other := c.take(t, "valkey", "of-valkey")
	_, err = c.newCache("cross", memcached, from(*other.ARN))
	wantFault[invalidCombination](t, err, 400, "valkey", "memcached")

	flipped := bytes.Clone(file)
	flipped[len(file)/2] ^= 1
	for name, body := range map[string][]byte{"cut": file[:len(file)/2], "flipped": flipped, "rdb": rdbFile(str(0, "a", "b")), "longer": append(bytes.Clone(file), 0), "empty": nil} {
		c.putObject(t, "exports", name, body)
		ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache(name, memcached, from("arn:aws:s3:::exports/"+name)))
	}
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("as-rdb", from("arn:aws:s3:::exports/c1-0001.items")))
	for _, name := range []string{"cut", "flipped", "rdb", "longer", "empty", "as-rdb"} {
		if got := c.status(t, name, "available", "create-failed"); *got.Status != "create-failed" {
			t.Errorf("%s: the cache is %s", name, *got.Status)
		}
		wantEvent(t, c.events(t, "serverless-cache", name), "Failed to create cache "+name, "Data restoration from snapshot failed because")
	}
}

// Memcached that speaks TLS is captured and restored so, daily too, and adopted by the next server.
func TestMemcachedWithTLS(t *testing.T) {
	t.Parallel()
	s := serve(t, "--serverless-tls")
	c := s.as("default", "us-east-1")
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("sessions", memcached, func(in *elasticache.CreateServerlessCacheInput) {
		in.SnapshotRetentionLimit, in.DailySnapshotTime = aws.Int32(1), aws.String(time.Now().UTC().Add(-2*time.Minute).Format("15:04"))
	}))
	made := c.status(t, "sessions", "available", "create-failed")
	if *made.Status != "available" {
		t.Fatal(c.events(t, "serverless-cache", "sessions"))
	}
	want := fillMem(t, dialMem(t, address(made), s.trust()), 100)
	plain := dialMem(t, address(made), nil)
	fmt.Fprint(plain, "version\r\n") //nolint:errcheck // the answer tells
	if line, err := plain.r.ReadString('\n'); err == nil {
		t.Errorf("the cache speaks plain TCP too: %q", line)
	}
	s.age(t, "sessions", time.Hour)
	c = s.as("default", "us-east-1") // the address changed
	wantMem(t, dialMem(t, address(c.status(t, "sessions", "available")), s.trust()), want)
	var daily types.ServerlessCacheSnapshot
	until(t, "the daily snapshot", func() (bool, error) {
		out, err := c.DescribeServerlessCacheSnapshots(t.Context(), &elasticache.DescribeServerlessCacheSnapshotsInput{SnapshotType: aws.String("automated")})
		if err != nil || len(out.ServerlessCacheSnapshots) == 0 {
			return false, err
		}
		daily = out.ServerlessCacheSnapshots[0]
		return *daily.Status == "available", nil
	})
	if daily.ExpiryTime == nil || !strings.HasPrefix(*daily.ServerlessCacheSnapshotName, "automatic.sessions-") {
		t.Errorf("it shows %+v", daily)
	}
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("restored", memcached, from(*daily.ARN)))
	wantMem(t, dialMem(t, address(c.status(t, "restored", "available", "create-failed")), s.trust()), want)
}
