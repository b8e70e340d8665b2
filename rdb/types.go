package rdb

// The byte before a key says how its value is stored.
const (
	typeString          = 0
	typeList            = 1
	typeSet             = 2
	typeZset            = 3
	typeHash            = 4
	typeZset2           = 5
	typeModulePreGA     = 6
	typeModule2         = 7
	typeHashZipmap      = 9
	typeListZiplist     = 10
	typeSetIntset       = 11
	typeZsetZiplist     = 12
	typeHashZiplist     = 13
	typeListQuicklist   = 14
	typeStream1         = 15
	typeHashListpack    = 16
	typeZsetListpack    = 17
	typeListQuicklist2  = 18
	typeStream2         = 19
	typeSetListpack     = 20
	typeStream3         = 21
	typeFamilySpecific  = 22 // from here on the magic decides
	typeValkeyHash2     = 22
	typeRedisHashTTL    = 24
	typeRedisHashPackEx = 25
)

// layout describes a type: its name, the first version that has it, and, if it
// cannot be walked, why.
type layout struct {
	name    string
	since   int
	refused string
}

const notVerified = "its layout is not known here"

var sharedLayouts = [typeFamilySpecific]layout{
	typeString:         {name: "string", since: 1},
	typeList:           {name: "list", since: 1},
	typeSet:            {name: "set", since: 1},
	typeZset:           {name: "zset, text scores", since: 1},
	typeHash:           {name: "hash", since: 1},
	typeZset2:          {name: "zset", since: 8},
	typeModulePreGA:    {name: "module of 4.0 release candidates", refused: "it cannot be walked without the module"},
	typeModule2:        {name: "module", since: 8},
	typeHashZipmap:     {name: "hash, zipmap", since: 2},
	typeListZiplist:    {name: "list, ziplist", since: 2},
	typeSetIntset:      {name: "set, intset", since: 2},
	typeZsetZiplist:    {name: "zset, ziplist", since: 2},
	typeHashZiplist:    {name: "hash, ziplist", since: 4},
	typeListQuicklist:  {name: "list, ziplists", since: 7},
	typeStream1:        {name: "stream, first form", since: 9},
	typeHashListpack:   {name: "hash, listpack", since: 10},
	typeZsetListpack:   {name: "zset, listpack", since: 10},
	typeListQuicklist2: {name: "list, listpacks", since: 10},
	typeStream2:        {name: "stream, second form", since: 10},
	typeSetListpack:    {name: "set, listpack", since: 11},
	typeStream3:        {name: "stream, third form", since: 11},
}

var redisLayouts = map[byte]layout{
	22:                  {name: "hash with TTLs of 7.4 release candidates", refused: notVerified},
	23:                  {name: "hash with TTLs of 7.4 release candidates, listpack", refused: notVerified},
	typeRedisHashTTL:    {name: "hash with TTLs", since: 12},
	typeRedisHashPackEx: {name: "hash with TTLs, listpack", since: 12},
	26:                  {name: "stream, fourth form", since: 13, refused: notVerified},
	27:                  {name: "stream, fifth form", since: 14, refused: notVerified},
	28:                  {name: "array", since: 14, refused: notVerified},
	29:                  {name: "hash from template", since: 15, refused: notVerified},
	30:                  {name: "hash from template", since: 15, refused: notVerified},
	31:                  {name: "hash from template", since: 15, refused: notVerified},
	32:                  {name: "hash from template", since: 15, refused: notVerified},
	33:                  {name: "rate limiter", since: 15, refused: notVerified},
}

var valkeyLayouts = map[byte]layout{
	typeValkeyHash2: {name: "hash with TTLs", since: 80},
	23:              {name: "path hash", since: 81, refused: notVerified},
}

// layout returns what is known of a type; its name is empty if nothing is.
func (f family) layout(t byte) layout {
	if t < typeFamilySpecific {
		return sharedLayouts[t]
	}
	if f == valkey {
		return valkeyLayouts[t]
	}
	return redisLayouts[t]
}

func (f family) typeName(t byte) string {
	if l := f.layout(t); l.name != "" {
		return l.name
	}
	return "unknown"
}

// TypeName describes a value type of a family for people, as in "hash,
// listpack". It is "unknown" for numbers that have no meaning.
func TypeName(fam string, t byte) string {
	if fam == FamilyValkey {
		return valkey.typeName(t)
	}
	return redis.typeName(t)
}
