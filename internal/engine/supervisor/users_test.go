package supervisor_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
)

// refusedCall is a call of a command that clients may not run; the engine checks the number of arguments before the permission.
func refusedCall(name string) []string {
	args := strings.Split(name, "|")
	switch name {
	case "acl|setuser", "acl|deluser", "cluster|addslots", "cluster|delslots", "cluster|forget", "cluster|replicate", "client|pause", "client|unblock",
		"cluster|set-config-epoch":
		args = append(args, "1")
	case "cluster|addslotsrange", "cluster|delslotsrange", "cluster|meet", "psync", "replicaof", "slaveof":
		args = append(args, "1", "1")
	case "cluster|setslot":
		args = append(args, "1", "STABLE")
	case "config":
		args = append(args, "GET", "port")
	case "debug":
		args = append(args, "SLEEP", "0")
	case "migrate":
		args = append(args, "127.0.0.1", "1", "k", "0", "1")
	case "module":
		args = append(args, "LIST")
	case "script|debug":
		args = append(args, "SYNC")
	}
	return args
}

// While the first AUTH token is introduced, clients with it and clients without any are served.
func TestFirstTokenLeavesTheDoorOpen(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		ctx := kftest.Context(t)
		n := kftest.Engine(t, e)
		hash := sha256.Sum256([]byte("token"))
		u := engine.OpenUser()
		for _, open := range []bool{true, false} {
			u.NoPass, u.Hashes = open, []string{hex.EncodeToString(hash[:])}
			if err := n.Sup.SetUsers(ctx, n.ID, []engine.User{u}); err != nil {
				t.Fatal(err)
			}
			if _, err := n.Client(t).Do(ctx, "SET", "k", "v"); (err == nil) != open {
				t.Errorf("a client without a token, open is %t: %v", open, err)
			}
			c := n.Client(t)
			if err := c.Auth(ctx, "default", "token"); err != nil {
				t.Errorf("a client with the token, open is %t: %v", open, err)
			}
		}
	})
}

// However an access string is written: what clients may not do they may not do. The first of these strings could not be given to
// the API, but records may be older than the list of what is refused.
func TestNoAccessStringAllowsWhatIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		ctx := kftest.Context(t)
		n := kftest.Engine(t, e, kftest.InCluster())
		var users []engine.User
		for i, access := range []string{"on ~* &* +config +config|get +debug|sleep +client|pause +cluster|meet", "on ~* +@all", "on allkeys allcommands", "on +@admin +@dangerous +@slow +@fast",
			"on -@all +@all", "on ~* (~* +@all)", "on (allcommands) (+@admin +@dangerous)", "on +acl +cluster +client +script +@all", "on nocommands +@all", "on ~* +select|0 +@all"} {
			users = append(users, engine.User{Name: fmt.Sprint("u", i), NoPass: true, Access: access})
		}
		if err := n.Sup.SetUsers(ctx, n.ID, users); err != nil {
			t.Fatal(err)
		}
		for _, u := range users {
			c := n.Client(t)
			if err := c.Auth(ctx, u.Name, "any"); err != nil {
				t.Fatalf("%s: %v", u.Access, err)
			}
			for _, name := range engine.Refused(e, n.Binary.Version) {
				if v, err := c.Do(ctx, refusedCall(name)...); !resp.IsCode(err, "NOPERM") {
					t.Errorf("%q allows %s: %+v, %v", u.Access, name, v, err)
				}
			}
		}
	})
}

// What CheckAccess accepts, every engine loads; a running one and one that starts.
func TestAcceptedAccessStringsAreLoaded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		ctx := kftest.Context(t)
		n := kftest.Engine(t, e, kftest.Parameter("acl-pubsub-default", "allchannels"))
		newest := engine.Version{Major: 99}
		all := append(engine.Commands(engine.Valkey, newest), engine.Commands(engine.Redis, newest)...)
		// Every name that the table has is known here, or kept from here.
		var every []string
		for _, name := range all {
			for _, sign := range []string{"+", "-"} {
				if engine.CheckAccess(sign+name) == nil {
					every = append(every, sign+name)
				}
			}
		}
		words := strings.Fields("on off ~* ~a* %R~b* %rw~c &* &d allkeys resetkeys allchannels resetchannels allcommands nocommands clearselectors +select|0 +set|k +multi|x (~a (%W~b (&d +get) +@all) )")
		for _, c := range strings.Fields("admin all bitmap blocking connection dangerous fast geo hash hyperloglog keyspace list pubsub read scripting set slow sortedset stream string transaction write") {
			words = append(words, "+@"+c, "-@"+strings.ToUpper(c))
		}
		load := func(access ...string) {
			var users []engine.User
			for i, a := range access {
				users = append(users, engine.User{Name: fmt.Sprint("u", i), Hashes: []string{engine.NewSecret("p").Hash()}, Access: a})
			}
			if err := n.Sup.SetUsers(ctx, n.ID, users); err != nil {
				t.Fatalf("%.500q: %v", access, err)
			}
		}
		var chunks []string
		for chunk := range slices.Chunk(every, 300) {
			chunks = append(chunks, strings.Join(chunk, " "))
		}
		load(chunks...)
		if got := len(n.Do(t, "ACL", "USERS").Elems); got != len(chunks)+2 {
			t.Errorf("%d users are loaded", got)
		}
		word := rapid.OneOf(rapid.SampledFrom(words), rapid.SampledFrom(every), rapid.StringMatching(`[~&+%-]{1,2}[!-~]{0,6}`))
		accepted := 0
		rapid.Check(t, func(rt *rapid.T) {
			var good []string
			for range 10 {
				if a := strings.Join(rapid.SliceOfN(word, 0, 6).Draw(rt, "access"), " "); engine.CheckAccess(a) == nil {
					good = append(good, a)
				}
			}
			accepted += len(good)
			load(good...)
		})
		if accepted == 0 {
			t.Error("no access string was accepted")
		}
		if err := n.Sup.Stop(ctx, n.ID); err != nil {
			t.Fatal(err)
		}
		if err := n.Sup.Start(ctx, n.ID); err != nil {
			t.Fatal(err)
		}
		if err := n.Sup.WaitReady(ctx, n.ID, nil); err != nil {
			t.Error(err)
		}
	})
}

// A cache whose users are all gone is closed, not open.
func TestClosedUserKeepsEverybodyOut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		ctx := kftest.Context(t)
		n := kftest.Engine(t, e)
		if err := n.Sup.SetUsers(ctx, n.ID, []engine.User{engine.ClosedUser()}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Client(t).Do(ctx, "PING"); !resp.IsCode(err, "NOAUTH") {
			t.Errorf("without login: %v", err)
		}
		if err := n.Client(t).Auth(ctx, "default", ""); !resp.IsCode(err, "WRONGPASS") {
			t.Errorf("with an empty password: %v", err)
		}
	})
}

// A user without a rule about channels may use all of them, unless the parameter says otherwise; rules about channels hold in any case.
func TestChannelsOfUsers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		ctx := kftest.Context(t)
		users := []engine.User{{Name: "silent", NoPass: true, Access: "on ~* +@all"}, {Name: "some", NoPass: true, Access: "on +@all &news:*"}, {Name: "none", NoPass: true, Access: "on +@all resetchannels"}}
		for name, c := range map[string]struct {
			opts []kftest.Option
			may  map[string]bool
		}{
			"default": {nil, map[string]bool{"silent sport": true, "some news:1": true, "some sport": false, "none sport": false}},
			"reset":   {[]kftest.Option{kftest.Parameter("acl-pubsub-default", "resetchannels")}, map[string]bool{"silent sport": false, "some news:1": true, "some sport": false, "none sport": false}},
		} {
			n := kftest.Engine(t, e, c.opts...)
			if err := n.Sup.SetUsers(ctx, n.ID, users); err != nil {
				t.Fatal(err)
			}
			for who, ok := range c.may {
				user, channel, _ := strings.Cut(who, " ")
				conn := n.Client(t)
				if err := conn.Auth(ctx, user, "any"); err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Do(ctx, "PUBLISH", channel, "m"); (err == nil) != ok || err != nil && !resp.IsCode(err, "NOPERM") {
					t.Errorf("%s: %s: %v", name, who, err)
				}
			}
		}
	})
}
