package rdb

// Kind is what a value is to a client, however it is stored.
type Kind byte

// The kinds of values.
const (
	KindUnknown Kind = iota
	KindString
	KindList
	KindSet
	KindSortedSet
	KindHash
	KindStream
	KindModule
)

// String returns the word that the command TYPE answers, and "module" for the
// types of modules.
func (k Kind) String() string {
	switch k {
	case KindString:
		return "string"
	case KindList:
		return "list"
	case KindSet:
		return "set"
	case KindSortedSet:
		return "zset"
	case KindHash:
		return "hash"
	case KindStream:
		return "stream"
	case KindModule:
		return "module"
	}
	return "unknown"
}

// sharedKinds are those of the types that mean the same in both families.
var sharedKinds = [typeFamilySpecific]Kind{
	typeString: KindString,
	typeList:   KindList, typeListZiplist: KindList, typeListQuicklist: KindList, typeListQuicklist2: KindList,
	typeSet: KindSet, typeSetIntset: KindSet, typeSetListpack: KindSet,
	typeZset: KindSortedSet, typeZset2: KindSortedSet, typeZsetZiplist: KindSortedSet, typeZsetListpack: KindSortedSet,
	typeHash: KindHash, typeHashZipmap: KindHash, typeHashZiplist: KindHash, typeHashListpack: KindHash,
	typeStream1: KindStream, typeStream2: KindStream, typeStream3: KindStream,
	typeModule2: KindModule,
}

func (f family) kind(t byte) Kind {
	switch {
	case t < typeFamilySpecific:
		return sharedKinds[t]
	case f == valkey && t == typeValkeyHash2, f == redis && (t == typeRedisHashTTL || t == typeRedisHashPackEx):
		return KindHash
	}
	return KindUnknown
}

// TypeKind returns the kind of a value type of a family, KindUnknown if the type
// cannot be read.
func TypeKind(fam string, t byte) Kind { return familyOf(fam).kind(t) }

func familyOf(fam string) family {
	if fam == FamilyValkey {
		return valkey
	}
	return redis
}
