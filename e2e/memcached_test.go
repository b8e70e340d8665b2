package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
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
