package dataset

import "errors"

// Mix is how many keys of each kind there are, relative to each other.
type Mix struct {
	Strings  int // half JSON-like, a fifth base64-like, the rest random bytes
	Counters int // integers
	Hashes   int // 8 fields
	Lists    int // 40 elements
	ZSets    int // 30 members
	Streams  int // 150 entries, a third with consumer groups and pending entries
	IntSets  int // 30 integers
	Sets     int // 20 members

	// Large keys, which engines store in other encodings.
	BigHashes, BigLists, BigZSets, BigSets int // 5,000 fields, and 10,000 elements each
}

// DefaultMix resembles a busy cache: two thirds strings, a bit of everything else.
var DefaultMix = Mix{
	Strings: 100_000, Counters: 20_000, Hashes: 20_000, Lists: 5_000, ZSets: 5_000, Streams: 500, IntSets: 5_000, Sets: 5_000,
	BigHashes: 6, BigLists: 4, BigZSets: 6, BigSets: 6,
}

func (m Mix) weights() []int {
	return []int{m.Strings, m.Counters, m.Hashes, m.Lists, m.ZSets, m.Streams, m.IntSets, m.Sets, m.BigHashes, m.BigLists, m.BigZSets, m.BigSets}
}

func (m Mix) check() error {
	sum := 0
	for _, w := range m.weights() {
		if w < 0 || w > 1<<30 {
			return errors.New("dataset: a share of the mix is negative or over 2^30")
		}
		sum += w
	}
	if sum == 0 {
		return errors.New("dataset: the mix is empty")
	}
	return nil
}

// kind is an index into Mix.weights.
type kind int

const (
	kString kind = iota
	kCounter
	kHash
	kList
	kZSet
	kStream
	kIntSet
	kSet
	kBigHash
	kBigList
	kBigZSet
	kBigSet
)

// span is a run of keys of one kind in one database, at most chunk long: one piece of work.
type span struct {
	kind     kind
	db       int
	from, to int
}

const chunk = 500

// plan cuts the keys into spans. Every kind that has a share gets at least one key.
func (s Spec) plan() []span {
	weights := s.Mix.weights()
	var sum int
	for _, w := range weights {
		sum += w
	}
	var spans []span
	at := 0
	for k, w := range weights {
		if w == 0 {
			continue
		}
		n := max(int(int64(s.Keys)*int64(w)/int64(sum)), 1)
		step := chunk
		if kind(k) >= kBigHash {
			step = 1
		}
		step = max(min(step, n/s.Databases), 1)
		for from := 0; from < n; from += step {
			spans = append(spans, span{kind(k), len(spans) % s.Databases, at + from, at + min(from+step, n)})
		}
		at += n
	}
	return spans
}
