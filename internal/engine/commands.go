package engine

import (
	"maps"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// named lists commands, subcommands in the form cluster|meet, with the version that brought them; a command of both engines came
// before they parted, with Valkey 7.2. An access rule on a command that an engine does not know would keep it from starting.
var named = []struct {
	engine resource.Engine // empty for both
	since  Version
	names  string
}{
	{"", Version{0, 0, 0}, `
		acl acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|help acl|list acl|load acl|log acl|save acl|setuser acl|users acl|whoami append
		asking auth bgrewriteaof bgsave bitcount bitfield bitfield_ro bitop bitpos blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin client
		client|caching client|getname client|getredir client|help client|id client|info client|kill client|list client|no-evict client|pause client|reply
		client|setname client|tracking client|trackinginfo client|unblock client|unpause cluster cluster|addslots cluster|addslotsrange cluster|bumpepoch
		cluster|count-failure-reports cluster|countkeysinslot cluster|delslots cluster|delslotsrange cluster|failover cluster|flushslots cluster|forget
		cluster|getkeysinslot cluster|help cluster|info cluster|keyslot cluster|links cluster|meet cluster|myid cluster|nodes cluster|replicas
		cluster|replicate cluster|reset cluster|saveconfig cluster|set-config-epoch cluster|setslot cluster|shards cluster|slaves cluster|slots command
		command|count command|docs command|getkeys command|getkeysandflags command|help command|info command|list config config|get config|help
		config|resetstat config|rewrite config|set copy dbsize debug decr decrby del discard dump echo eval eval_ro evalsha evalsha_ro exec exists expire
		expireat expiretime failover fcall fcall_ro flushall flushdb function function|delete function|dump function|flush function|help function|kill
		function|list function|load function|restore function|stats geoadd geodist geohash geopos georadius georadius_ro georadiusbymember
		georadiusbymember_ro geosearch geosearchstore get getbit getdel getex getrange getset hdel hello hexists hget hgetall hincrby hincrbyfloat hkeys
		hlen hmget hmset hrandfield hscan hset hsetnx hstrlen hvals incr incrby incrbyfloat info keys lastsave latency latency|doctor latency|graph
		latency|help latency|histogram latency|history latency|latest latency|reset lcs lindex linsert llen lmove lmpop lolwut lpop lpos lpush lpushx
		lrange lrem lset ltrim memory memory|doctor memory|help memory|malloc-stats memory|purge memory|stats memory|usage mget migrate module
		module|help module|list module|load module|loadex module|unload monitor move mset msetnx multi object object|encoding object|freq object|help
		object|idletime object|refcount persist pexpire pexpireat pexpiretime pfadd pfcount pfdebug pfmerge pfselftest ping psetex psubscribe psync pttl
		publish pubsub pubsub|channels pubsub|help pubsub|numpat pubsub|numsub pubsub|shardchannels pubsub|shardnumsub punsubscribe quit randomkey
		readonly readwrite rename renamenx replconf replicaof reset restore restore-asking role rpop rpoplpush rpush rpushx sadd save scan scard script
		script|debug script|exists script|flush script|help script|kill script|load sdiff sdiffstore select set setbit setex setnx setrange shutdown
		sinter sintercard sinterstore sismember slaveof slowlog slowlog|get slowlog|help slowlog|len slowlog|reset smembers smismember smove sort sort_ro
		spop spublish srandmember srem sscan ssubscribe strlen subscribe substr sunion sunionstore sunsubscribe swapdb sync time touch ttl type unlink
		unsubscribe unwatch wait watch xack xadd xautoclaim xclaim xdel xgroup xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy
		xgroup|help xgroup|setid xinfo xinfo|consumers xinfo|groups xinfo|help xinfo|stream xlen xpending xrange xread xreadgroup xrevrange xsetid xtrim
		zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop zmscore zpopmax zpopmin zrandmember zrange zrangebylex
		zrangebyscore zrangestore zrank zrem zremrangebylex zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan
		zscore zunion zunionstore`},
	{"", Version{7, 2, 0}, `client|no-touch client|setinfo cluster|myshardid waitaof`},
	{Redis, Version{7, 4, 0}, `hexpire hexpireat hexpiretime hpersist hpexpire hpexpireat hpexpiretime hpttl httl`},
	{Redis, Version{8, 0, 0}, `hgetdel hgetex hsetex`},
	{Valkey, Version{8, 0, 0}, `client|capa cluster|slot-stats script|show`},
	{Valkey, Version{8, 1, 0}, `client|import-source commandlog commandlog|get commandlog|help commandlog|len commandlog|reset`},
	{Valkey, Version{9, 0, 0}, `cluster|cancelslotmigrations cluster|flushslot cluster|getslotmigrations cluster|migrateslots cluster|syncslots delifeq
		hexpire hexpireat hexpiretime hgetex hpersist hpexpire hpexpireat hpexpiretime hpttl hsetex httl`},
}

// commands says for each name since when which engine knows it.
var commands, containers = func() (map[string][]origin, map[string]bool) {
	all, containers := map[string][]origin{}, map[string]bool{}
	for _, n := range named {
		for _, name := range strings.Fields(n.names) {
			all[name] = append(all[name], origin{n.engine, n.since})
			if container, _, sub := strings.Cut(name, "|"); sub {
				containers[container] = true
			}
		}
	}
	return all, containers
}()

type origin struct {
	engine resource.Engine
	since  Version
}

// hasCommand tells whether an engine has a command.
func hasCommand(e resource.Engine, v Version, name string) bool {
	return slices.ContainsFunc(commands[name], func(o origin) bool {
		return (o.engine == "" || o.engine == e) && v.Compare(o.since) >= 0
	})
}

// Commands lists the commands that an engine has, in order of name.
func Commands(e resource.Engine, v Version) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(commands)), func(name string) bool { return !hasCommand(e, v, name) })
}

// categories are the sets of commands that every engine knows.
var categories = strings.Fields(`admin all bitmap blocking connection dangerous fast geo hash hyperloglog keyspace list pubsub read scripting set
	slow sortedset stream string transaction write`)
